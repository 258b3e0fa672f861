// Command image writes the container image of the service as an OCI image layout: one index, one image a platform, each
// with the binary and the root certificates, and nothing else. It needs no daemon, and no registry without -base.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// program is the path of the binary in the image, and its entry point.
	program = "/client-session-service"
	// user is a number, so that Kubernetes can verify runAsNonRoot and the image needs no /etc/passwd. It is the
	// "nonroot" of distroless.
	user = "65532:65532"
	// scratch is the base that has nothing in it.
	scratch = "scratch"
	// title is the name of the image, and home where its source is.
	title, home = "client-session-service", "https://github.com/clientsession/client-session-service"
)

// ports returns those on which the service listens by default: gRPC, REST and the admin listener. They publish nothing.
func ports() map[string]struct{} {
	return map[string]struct{}{"9090/tcp": {}, "8080/tcp": {}, "9091/tcp": {}}
}

// build is what the arguments say.
type build struct {
	base, out, version, revision string
	created                      time.Time
	binaries                     map[string]string // by platform
}

func main() {
	b := build{binaries: map[string]string{}}
	flag.StringVar(&b.out, "out", "", "folder for the OCI image layout, which is replaced")
	flag.StringVar(&b.base, "base", scratch, "base image, as NAME@sha256:DIGEST, or scratch")
	flag.StringVar(&b.version, "version", "", "version of the service")
	flag.StringVar(&b.revision, "revision", "", "commit that is built")
	epoch := flag.Int64("created", 0, "time of that commit, in seconds since 1970, for everything in the image")
	flag.Func("binary", "PLATFORM=FILE, such as linux/amd64=bin/service; repeatable", func(argument string) error {
		platform, file, ok := strings.Cut(argument, "=")
		if !ok {
			return errors.New("want PLATFORM=FILE")
		}
		b.binaries[platform] = file
		return nil
	})
	flag.Parse()
	b.created = time.Unix(*epoch, 0).UTC()
	digest, err := b.write(context.Background())
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintln(os.Stdout, digest)
}

// write builds the image and writes its layout, and returns the digest of the index, by which it is deployed.
func (b build) write(ctx context.Context) (v1.Hash, error) {
	if b.out == "" || len(b.binaries) == 0 {
		return v1.Hash{}, errors.New("-out and at least one -binary are needed")
	}
	base, err := b.openBase(ctx)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("-base %s: %w", b.base, err)
	}
	roots, err := b.layer("/etc/ssl/certs/ca-certificates.crt", rootCertificates(), 0o644)
	if err != nil {
		return v1.Hash{}, err
	}
	var images []mutate.IndexAddendum
	for _, platform := range slices.Sorted(maps.Keys(b.binaries)) {
		image, err := b.image(base, platform, roots)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("%s: %w", platform, err)
		}
		images = append(images, image)
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), images...)
	annotated, ok := mutate.Annotations(index, b.annotations()).(v1.ImageIndex)
	if !ok {
		return v1.Hash{}, errors.New("the annotated index is none")
	}
	if err := os.RemoveAll(b.out); err != nil {
		return v1.Hash{}, err
	}
	// The layout refers to the index and not to its images, so that tools that copy one image copy all platforms.
	path, err := layout.Write(b.out, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	tags := map[string]string{
		// By this, skopeo and podman find the image in the layout.
		"org.opencontainers.image.ref.name": b.version,
		// This is what containerd calls the image when it imports the layout. Docker adds what is before the title itself.
		"io.containerd.image.name": "docker.io/library/" + title + ":" + b.version,
	}
	if err := path.AppendIndex(annotated, layout.WithAnnotations(tags)); err != nil {
		return v1.Hash{}, err
	}
	return annotated.Digest()
}

// image is the image of one platform, and its descriptor in the index.
func (b build) image(base baseImage, platform string, roots v1.Layer) (mutate.IndexAddendum, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	image, err := base(*p)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	content, err := os.ReadFile(b.binaries[platform])
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	binary, err := b.layer(program, content, 0o755)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	created := v1.Time{Time: b.created}
	image, err = mutate.Append(image,
		mutate.Addendum{Layer: roots, History: v1.History{Created: created, CreatedBy: "root certificates of Mozilla"}},
		mutate.Addendum{Layer: binary, History: v1.History{Created: created, CreatedBy: filepath.Base(program)}})
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = p.OS, p.Architecture, p.Variant, created
	config.Config.User, config.Config.WorkingDir = user, "/"
	config.Config.Entrypoint, config.Config.Cmd = []string{program}, nil
	config.Config.Labels, config.Config.ExposedPorts = b.annotations(), ports()
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return mutate.IndexAddendum{}, err
	}
	annotated, ok := mutate.Annotations(image, b.annotations()).(v1.Image)
	if !ok {
		return mutate.IndexAddendum{}, errors.New("the annotated image is none")
	}
	return mutate.IndexAddendum{Add: annotated, Descriptor: v1.Descriptor{Platform: p}}, nil
}

// annotations are those of the OCI image specification, on the index and on each image. Docker and Kubernetes show the
// labels of an image and no annotations, so they are its labels as well. There is no licence among them, since the
// repository has none.
func (b build) annotations() map[string]string {
	annotations := map[string]string{
		"org.opencontainers.image.title":         title,
		"org.opencontainers.image.description":   "Seam's client sessions API, as gRPC and REST",
		"org.opencontainers.image.url":           home,
		"org.opencontainers.image.source":        home,
		"org.opencontainers.image.documentation": home + "/tree/" + b.revision + "/docs",
		"org.opencontainers.image.version":       b.version,
		"org.opencontainers.image.revision":      b.revision,
		"org.opencontainers.image.created":       b.created.Format(time.RFC3339),
	}
	if before, digest, ok := strings.Cut(b.base, "@"); ok {
		annotations["org.opencontainers.image.base.name"] = before
		annotations["org.opencontainers.image.base.digest"] = digest
	}
	return annotations
}

// baseImage returns the base of a platform.
type baseImage func(v1.Platform) (v1.Image, error)

// openBase finds the base. A tag may name another image tomorrow, so a base is taken by its digest only.
func (b build) openBase(ctx context.Context) (baseImage, error) {
	if b.base == scratch {
		return func(v1.Platform) (v1.Image, error) {
			return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
		}, nil
	}
	reference, err := name.NewDigest(b.base)
	if err != nil {
		return nil, fmt.Errorf("want NAME@sha256:DIGEST, or scratch: %w", err)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	return func(p v1.Platform) (v1.Image, error) {
		return remote.Image(reference, append(options, remote.WithPlatform(p))...)
	}, nil
}
