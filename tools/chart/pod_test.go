package chart_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/clientsession/client-session-service/service/servicetest"
)

func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// secrets are the contents of Secrets, or of ConfigMaps, that are not the chart's, by name and key.
type secrets map[string]map[string]string

// pod is a command that stands in for the container of a rendered Deployment: with its arguments, its environment, its
// volumes and its user. The volumes are in a folder of the test, and the ports are free ones of loopback.
type pod struct {
	*exec.Cmd

	deployment *appsv1.Deployment
	container  corev1.Container
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
	binary := servicetest.Binary(t)
	dir, err := os.MkdirTemp(filepath.Dir(binary), "volumes") //nolint:usetesting // No other user can enter t.TempDir.
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
	args = append(args, "--drain-delay=1s") // No client looks for it by DNS.
	p.Cmd = exec.Command(binary, append(strings.Split(arguments, "\n"), args...)...)
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
