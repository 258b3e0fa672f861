package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// layer is a layer with one file and the folders above it. They are root's, and nobody else may write them. Everything
// that could differ between two builds is fixed: the times are those of the commit.
func (b build) layer(file string, content []byte, mode int64) (v1.Layer, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	parts := strings.Split(strings.TrimPrefix(file, "/"), "/")
	for i := range parts[1:] {
		folder := strings.Join(parts[:i+1], "/") + "/"
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755, ModTime: b.created}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(parts...), Mode: mode, ModTime: b.created}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(content); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression),
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// rootCertificates are those that Mozilla trusts, as the Go team publishes them. The version is pinned in go.mod, so
// that two machines make the same image, which they would not from the certificates of their distributions. A root
// that Mozilla trusts under a condition is left out: a PEM file cannot state the condition.
func rootCertificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}
