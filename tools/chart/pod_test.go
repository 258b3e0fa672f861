package chart_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// binaryPath is the service, built once in a folder that TestMain removes and that any user can read.
var binaryPath = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaryDir, "client-session-service")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-C", root, "-trimpath", "-o", path,
		"./cmd/client-session-service").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

var binaryDir string

func TestMain(m *testing.M) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "chart"); err != nil {
		panic(err)
	}
	if err := os.Chmod(binaryDir, 0o755); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaryDir)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := binaryPath()
	if err != nil {
		t.Fatalf("%v: %s", err, path)
	}
	return path
}

// secrets are the contents of Secrets, or of ConfigMaps, that are not the chart's, by name and key.
type secrets map[string]map[string]string

// pod is a process that stands in for the container of a rendered Deployment: with its arguments, its environment, its
// volumes and its user. The volumes are in a folder of the test, and the ports are free ones of loopback.
type pod struct {
	*exec.Cmd

	deployment *appsv1.Deployment
	container  corev1.Container
	// The addresses of the listeners, by the names of the container's ports.
	addresses map[string]string

	stderr io.Reader
	log    bytes.Buffer
}

// newPod returns a pod that has not started. The arguments come after the container's.
func newPod(t *testing.T, objects []runtime.Object, outside secrets, args ...string) *pod {
	t.Helper()
	for _, object := range only[*corev1.ConfigMap](objects) {
		outside[object.Name] = object.Data
	}
	deployment := only[*appsv1.Deployment](objects)[0]
	spec := deployment.Spec.Template.Spec
	p := &pod{deployment: deployment, container: spec.Containers[0]}
	dir, err := os.MkdirTemp(binaryDir, "volumes") //nolint:usetesting // No other user can enter t.TempDir.
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	arguments := strings.Join(p.container.Args, "\n")
	for _, mount := range p.container.VolumeMounts {
		for _, volume := range spec.Volumes {
			if volume.Name == mount.Name {
				writeVolume(t, filepath.Join(dir, mount.MountPath), volume, spec.SecurityContext, outside)
			}
		}
		arguments = strings.ReplaceAll(arguments, "="+mount.MountPath, "="+filepath.Join(dir, mount.MountPath))
	}
	for _, port := range p.container.Ports {
		flag := "--" + port.Name + "-listen=:"
		before := arguments
		arguments = strings.Replace(arguments, flag+itoa(port.ContainerPort)+"\n", flag[:len(flag)-1]+"127.0.0.1:0\n", 1)
		if arguments == before {
			t.Fatalf("no argument is %s%d, for the port of that name:\n%s", flag, port.ContainerPort, before)
		}
	}
	path := binary(t)
	// A pod that ought to end, and does not, fails its own test and not all.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	p.Cmd = exec.CommandContext(ctx, path, append(strings.Split(arguments, "\n"), args...)...)
	p.Env = []string{} // Nil would stand for that of the test.
	for _, variable := range p.container.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			value = content(t, outside, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
		}
		p.Env = append(p.Env, variable.Name+"="+value)
	}
	if os.Getuid() == 0 {
		p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: user(spec.SecurityContext.RunAsUser), Gid: user(spec.SecurityContext.RunAsGroup),
		}}
	}
	return p
}

// user is that of a security context, or one that a platform would assign.
func user(id *int64) uint32 {
	if id == nil {
		return 1000670000
	}
	return uint32(*id)
}

func itoa(port int32) string {
	text, _ := json.Marshal(port)
	return string(text)
}

func content(t *testing.T, outside secrets, name, key string) string {
	t.Helper()
	text, ok := outside[name][key]
	if !ok {
		t.Fatalf("there is no %s in %s, of %d objects", key, name, len(outside))
	}
	return text
}

// writeVolume writes the files of a volume as the kubelet would: owned by root, and with the group of the pod.
func writeVolume(
	t *testing.T, dir string, volume corev1.Volume, security *corev1.PodSecurityContext, outside secrets,
) {
	t.Helper()
	var name string
	var items []corev1.KeyToPath
	mode := int32(0o644)
	if volume.Secret != nil {
		name, mode, items = volume.Secret.SecretName, *volume.Secret.DefaultMode, volume.Secret.Items
	} else {
		name, items = volume.ConfigMap.Name, volume.ConfigMap.Items
	}
	if len(items) == 0 {
		for key := range outside[name] {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		path := filepath.Join(dir, item.Path)
		if err := os.WriteFile(path, []byte(content(t, outside, name, item.Key)), 0o600); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Chown(path, 0, int(user(security.FSGroup))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, fs.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// begin starts the pod and waits until it logs that it is ready.
func (p *pod) begin(t *testing.T) {
	t.Helper()
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.log.Write(append(lines.Bytes(), '\n'))
		if p.addresses = addresses(lines.Text()); p.addresses != nil {
			return
		}
	}
	t.Fatalf("it ends before it is ready, %v:\n%s", p.Wait(), p.log.String())
}

// addresses returns those of the line that says that the service is ready, in either format, else nil.
func addresses(line string) map[string]string {
	found := map[string]string{}
	var object map[string]any
	if json.Unmarshal([]byte(line), &object) == nil && object["msg"] == "ready" {
		for name, value := range object {
			found[name], _ = value.(string)
		}
		return found
	}
	if !strings.Contains(line, " msg=ready ") {
		return nil
	}
	for field := range strings.FieldsSeq(line) {
		if name, value, ok := strings.Cut(field, "="); ok {
			found[name] = value
		}
	}
	return found
}
