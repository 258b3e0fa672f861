package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const (
	repository = "../../../"
	certFile   = "etc/ssl/certs/ca-certificates.crt"
	maxBytes   = 40 << 20
)

// readIndex returns the one index of a layout.
func readIndex(t *testing.T, path string) v1.ImageIndex {
	t.Helper()
	root, err := layout.ImageIndexFromPath(path)
	if err != nil {
		t.Fatalf("%v: run make image first", err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %d entries, want one index", len(manifest.Manifests))
	}
	index, err := root.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// images are those of an index by platform.
func images(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]v1.Image{}
	for _, descriptor := range manifest.Manifests {
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		found[descriptor.Platform.String()] = image
	}
	return found
}

// entry is a file or folder of an image.
type entry struct {
	header  *tar.Header
	content []byte
}

// files are the files and folders of an image by name.
func files(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	found := map[string]entry{}
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		file, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.Trim(header.Name, "/")] = entry{header, file}
	}
}

// TestImage reads back what `make image` wrote.
func TestImage(t *testing.T) {
	index := readIndex(t, repository+"dist/image")
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	found := images(t, index)
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
		t.Fatalf("the platforms are %v", got)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	annotations := manifest.Annotations
	for _, key := range []string{
		"title", "description", "source", "url", "documentation", "version", "revision", "created",
	} {
		if annotations["org.opencontainers.image."+key] == "" {
			t.Errorf("the index has no annotation %s", key)
		}
	}
	if licence, ok := annotations["org.opencontainers.image.licenses"]; ok {
		t.Errorf("the licence is %q, and the repository has none", licence)
	}
	for platform, image := range found {
		t.Run(platform, func(t *testing.T) {
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			c := config.Config
			if config.OS+"/"+config.Architecture != platform || c.User != "65532:65532" || c.WorkingDir != "/" ||
				!slices.Equal(c.Entrypoint, []string{"/client-session-service"}) || len(c.Cmd)+len(c.Env) != 0 {
				t.Errorf("the configuration is %+v of %s/%s", c, config.OS, config.Architecture)
			}
			if got := slices.Sorted(maps.Keys(c.ExposedPorts)); !slices.Equal(got, defaultPorts(t)) {
				t.Errorf("the ports are %v", got)
			}
			if !maps.Equal(c.Labels, annotations) || !maps.Equal(manifest.Annotations, annotations) {
				t.Errorf("the labels are %v and the annotations %v; want %v", c.Labels, manifest.Annotations, annotations)
			}
			if created := config.Created.Format(time.RFC3339); created != annotations["org.opencontainers.image.created"] {
				t.Errorf("it was created at %s", created)
			}
			content := files(t, image)
			want := []string{"client-session-service", "etc", "etc/ssl", "etc/ssl/certs", certFile}
			if got := slices.Sorted(maps.Keys(content)); !slices.Equal(got, want) {
				t.Errorf("it has %v, want %v", got, want)
			}
			total := 0
			for path, file := range content {
				total += len(file.content)
				if h := file.header; h.Uid != 0 || h.Gid != 0 || h.Mode&^0o755 != 0 || !h.ModTime.Equal(config.Created.Time) {
					t.Errorf("%s is of %d:%d, mode %o, time %s", path, h.Uid, h.Gid, h.Mode, h.ModTime)
				}
			}
			if !bytes.Equal(content[certFile].content, rootCertificates()) {
				t.Errorf("%s does not have the roots", certFile)
			}
			if total > maxBytes {
				t.Errorf("it has %d bytes, more than %d", total, maxBytes)
			}
			binary, err := elf.NewFile(bytes.NewReader(content["client-session-service"].content))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, err := binary.ImportedLibraries(); binary.Machine != machines[platform] || len(libraries) > 0 || err != nil {
				t.Errorf("the binary is for %s and needs %v (%v)", binary.Machine, libraries, err)
			}
		})
	}
}

// defaultPorts are the ports of the listeners as docs/configuration.md has them, which is generated from the service.
func defaultPorts(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(repository + "docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	serve, _, _ := strings.Cut(string(page), "client-session-service sandbox")
	var ports []string
	for _, found := range regexp.MustCompile("`--(?:grpc|http|admin)-listen`.*`127\\.0\\.0\\.1:(\\d+)`").FindAllStringSubmatch(serve, -1) {
		ports = append(ports, found[1]+"/tcp")
	}
	slices.Sort(ports)
	return ports
}

// TestTags shows how the image is named in the layout: skopeo and podman find it by its version, and containerd, and
// Docker with its image store, name it so when they load the layout.
func TestTags(t *testing.T) {
	root, err := layout.ImageIndexFromPath(repository + "dist/image")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	version := rebuild(t).version
	want := map[string]string{
		"org.opencontainers.image.ref.name": version,
		"io.containerd.image.name":          "docker.io/library/client-session-service:" + version,
	}
	if got := manifest.Manifests[0].Annotations; !maps.Equal(got, want) {
		t.Errorf("the tags are %v, want %v", got, want)
	}
}

// rebuild has the arguments of the build that wrote dist/image.
func rebuild(t *testing.T) build {
	t.Helper()
	manifest, err := readIndex(t, repository+"dist/image").IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	is := func(key string) string { return manifest.Annotations["org.opencontainers.image."+key] }
	created, err := time.Parse(time.RFC3339, is("created"))
	if err != nil {
		t.Fatal(err)
	}
	return build{
		base: scratch, out: filepath.Join(t.TempDir(), "image"), version: is("version"), revision: is("revision"), created: created,
		binaries: map[string]string{
			"linux/amd64": repository + "bin/linux_amd64/client-session-service",
			"linux/arm64": repository + "bin/linux_arm64/client-session-service",
		},
	}
}

// TestImageIsReproducible builds the image once more, and the digest is the same.
func TestImageIsReproducible(t *testing.T) {
	got, err := rebuild(t).write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want, err := readIndex(t, repository+"dist/image").Digest(); got != want || err != nil {
		t.Errorf("the digest is %s, and that of dist/image %s (%v)", got, want, err)
	}
}

// TestRootCertificates shows that the roots are authorities that are valid now, and that those of the large issuers of
// certificates for APIs are there.
func TestRootCertificates(t *testing.T) {
	missing := map[string]bool{
		"Amazon Root CA 1": true, "DigiCert Global Root G2": true, "GTS Root R1": true, "ISRG Root X1": true,
	}
	count := 0
	for rest := rootCertificates(); len(rest) > 0; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("after %d certificates the file is not PEM", count)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !certificate.IsCA || time.Now().After(certificate.NotAfter) {
			t.Errorf("%s is no authority or has expired at %s", certificate.Subject, certificate.NotAfter)
		}
		delete(missing, certificate.Subject.CommonName)
	}
	if count < 100 || len(missing) > 0 {
		t.Errorf("there are %d roots, without %v", count, slices.Sorted(maps.Keys(missing)))
	}
}

// TestBase builds on another base than scratch, from a registry.
func TestBase(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/base")
	if err != nil {
		t.Fatal(err)
	}
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := random.Image(100, 2)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	if err := remote.WriteIndex(repo.Tag("latest"), index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	missing := strings.Repeat("0", 64)
	for title, test := range map[string]struct{ base, want string }{
		"digest":           {repo.Digest(digest.String()).Name(), ""},
		"tag":              {repo.Tag("latest").Name(), "want NAME@sha256:DIGEST, or scratch"},
		"no such image":    {repo.Digest("sha256:" + missing).Name(), missing},
		"no such platform": {repo.Digest(digest.String()).Name(), "linux/s390x"},
	} {
		t.Run(title, func(t *testing.T) {
			b := rebuild(t)
			b.base = test.base
			if title == "no such platform" {
				b.binaries = map[string]string{"linux/s390x": b.binaries["linux/amd64"]}
			}
			_, err := b.write(t.Context())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("the error is %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for platform, image := range images(t, readIndex(t, b.out)) {
				layers, err := image.Layers()
				if err != nil {
					t.Fatal(err)
				}
				manifest, err := image.Manifest()
				if err != nil {
					t.Fatal(err)
				}
				if len(layers) != 4 || manifest.Annotations["org.opencontainers.image.base.digest"] != digest.String() {
					t.Errorf("%s has %d layers, annotations %v", platform, len(layers), manifest.Annotations)
				}
			}
		})
	}
}
