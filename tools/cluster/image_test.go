package cluster_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// pythonFiles prints the machine's own Python: its prefix, its interpreter, its library, and the shared objects that
// these and the packages in the folder of the argument need.
const pythonFiles = `
import glob, os, re, subprocess, sys, sysconfig
program, library = os.path.realpath(sys.executable), sysconfig.get_path("stdlib")
objects = glob.glob(library + "/lib-dynload/*.so") + glob.glob(sys.argv[1] + "/**/*.so", recursive=True)
needed = subprocess.run(["ldd", program, *objects], capture_output=True, text=True, check=True).stdout
print(sys.base_prefix, program, library, *sorted(set(re.findall(r"(/\S+) \(0x", needed))), sep="\n")
`

// importImages imports the image of the service, and that of the load, into the nodes by the command CLUSTER_LOAD.
func importImages(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	service, load := filepath.Join(dir, "service.tar"), filepath.Join(dir, "load.tar")
	run(t, "tar", "--create", "--file="+service, "--directory=../../dist/image", ".")
	buildLoadImage(t, dir, load)
	for _, archive := range []string{service, load} {
		run(t, "sh", "-c", os.Getenv("CLUSTER_LOAD")+` "$0"`, archive)
	}
}

// buildLoadImage writes the image of the load. Its Python is the machine's own, so that no registry is needed.
func buildLoadImage(t *testing.T, dir, archive string) {
	t.Helper()
	python, layer := filepath.Join(dir, "python"), filepath.Join(dir, "layer.tar")
	run(t, "cp", "-r", "../../.tools/load", python)
	files := strings.Fields(run(t, "python3", "-c", pythonFiles, python))
	prefix, interpreter := files[0], files[1]
	run(t, "cp", interpreter, python+"/python3")
	run(t, "cp", "-r", "load/load.py", "../../gen/python/src/clientsession", python)
	run(t, "env", "CGO_ENABLED=0", "go", "build", "-o", dir+"/load", "./load")
	run(t, "tar", append([]string{
		"--create", "--file=" + layer, "--dereference", "--absolute-names",
		"--exclude=site-packages", "--exclude=dist-packages", "--exclude=test", "--exclude=__pycache__",
	}, files[2:]...)...)
	// The user of the pod is another than the owner of the files.
	run(t, "tar", "--append", "--mode=a+rX", "--file="+layer, "--directory="+dir, "load", "python")

	content, err := tarball.LayerFromFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Env = []string{"PYTHONHOME=" + prefix, "PYTHONPATH=/python", "PYTHONUNBUFFERED=1"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(archive, name.MustParseReference("client-session-service-load:1"), image); err != nil {
		t.Fatal(err)
	}
}
