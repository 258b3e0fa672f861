// Package chart_test tests the Helm chart: what it renders, and that the service starts as its pods would start it.
package chart_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	root  = "../.."
	chart = root + "/deploy/chart"
)

var update = flag.Bool("update", false, "write what is generated, and the golden files")

// sets are the sets of values that are rendered, by the name of their file.
var sets = []string{"defaults", "production", "mesh", "monitoring", "everything"}

// helmPath is the path of the helm that go.mod pins.
var helmPath = sync.OnceValues(func() (string, error) {
	path, err := exec.CommandContext(context.Background(), "go", "tool", "-n", "helm").Output()
	return strings.TrimSpace(string(path)), err
})

// helm runs helm as an operator would, but without anything of the machine's.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := helmPath()
	if err != nil {
		t.Fatalf("build helm: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), err
}

func valuesFile(set string) string { return filepath.Join("testdata", set+".yaml") }

// render returns the manifests of a set, with more arguments for helm.
func render(t *testing.T, set string, args ...string) string {
	t.Helper()
	args = append([]string{"template", "sessions", chart, "--namespace", "doors", "--values", valuesFile(set)}, args...)
	stdout, stderr, err := helm(t, args...)
	if err != nil || stderr != "" {
		t.Fatalf("helm template: %v: %s", err, stderr)
	}
	return stdout
}

// decode returns the objects of manifests. A field that an API does not have, or that stands there twice, is an error.
func decode(t *testing.T, manifests string) []runtime.Object {
	t.Helper()
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		scheme.AddToScheme, monitoringv1.AddToScheme, gatewayv1.Install, certmanagerv1.AddToScheme,
	} {
		if err := add(types); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for manifest := range strings.SplitSeq(strings.TrimPrefix(manifests, "---\n"), "\n---\n") {
		object, _, err := decoder.Decode([]byte(manifest), nil, nil)
		if err != nil {
			t.Fatalf("%v:\n%s", err, manifest)
		}
		objects = append(objects, object)
	}
	return objects
}

// only returns the objects of one type.
func only[T runtime.Object](objects []runtime.Object) (of []T) {
	for _, object := range objects {
		if object, ok := object.(T); ok {
			of = append(of, object)
		}
	}
	return of
}

func TestLint(t *testing.T) {
	for _, set := range sets {
		if stdout, stderr, err := helm(t, "lint", "--strict", "--values", valuesFile(set), chart); err != nil || stderr != "" {
			t.Errorf("%s: %v: %s%s", set, err, stderr, stdout)
		}
	}
}

// TestSetsHaveEveryValue shows that some set renders otherwise without each value, so that what the value renders is in a
// golden file.
func TestSetsHaveEveryValue(t *testing.T) {
	missing := map[string]bool{}
	for _, v := range readValues(t) {
		missing[v.path] = v.preset != ""
	}
	for _, set := range slices.Backward(sets) { // The last has the most.
		content, err := os.ReadFile(valuesFile(set))
		if err != nil {
			t.Fatal(err)
		}
		with := render(t, set)
		for path := range missing {
			without := filepath.Join(t.TempDir(), "values.yaml")
			if !missing[path] || !writeWithout(t, without, content, path) {
				continue
			}
			got, _, _ := helm(t, "template", "sessions", chart, "--namespace", "doors", "--values", without)
			missing[path] = got == with
		}
	}
	for path := range missing {
		if missing[path] {
			t.Errorf("no set renders otherwise without %s", path)
		}
	}
}

// writeWithout writes values but one, if it is among them.
func writeWithout(t *testing.T, file string, content []byte, path string) bool {
	t.Helper()
	var values object
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	section, name, within := strings.Cut(path, ".")
	of := values
	if within {
		of, _ = values[section].(object)
	} else {
		name = section
	}
	if _, has := of[name]; !has {
		return false
	}
	delete(of, name)
	if err := os.WriteFile(file, []byte(encode(t, values, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestRecreate shows that the fields of the default strategy do not stay beside another, which Kubernetes would refuse.
func TestRecreate(t *testing.T) {
	strategy := only[*appsv1.Deployment](decode(t, render(t, "defaults", "--set", "strategy.type=Recreate")))[0].Spec.Strategy
	if strategy.Type != appsv1.RecreateDeploymentStrategyType || strategy.RollingUpdate != nil {
		t.Errorf("the strategy is %s", strategy.String())
	}
}

func TestGolden(t *testing.T) {
	for _, set := range sets {
		t.Run(set, func(t *testing.T) {
			got := render(t, set)
			decode(t, got)
			golden(t, filepath.Join("testdata", "golden", set+".yaml"), got)
		})
	}
}

// TestPodSecurityStandard asks the admission plugin of Kubernetes whether the pods satisfy the standard "restricted".
func TestPodSecurityStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	evaluate := func(args ...string) (reasons []string) {
		objects := decode(t, render(t, args[0], args[1:]...))
		pods := only[*corev1.Pod](objects) // That of `helm test`.
		template := only[*appsv1.Deployment](objects)[0].Spec.Template
		pods = append(pods, &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec})
		level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
		for _, pod := range pods {
			for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
				if !result.Allowed {
					reasons = append(reasons, result.ForbiddenReason+": "+result.ForbiddenDetail)
				}
			}
		}
		return reasons
	}
	for _, set := range sets {
		if reasons := evaluate(set); len(reasons) > 0 {
			t.Errorf("%s: %q", set, reasons)
		}
	}
	if reasons := evaluate("defaults", "--set", "securityContext.capabilities=null"); len(reasons) != 2 {
		t.Errorf("without the drop of capabilities: %q", reasons)
	}
}

func TestNotes(t *testing.T) {
	for _, set := range []string{"defaults", "production"} {
		t.Run(set, func(t *testing.T) {
			out, stderr, err := helm(t, "install", "sessions", chart, "--namespace", "doors", "--dry-run=client",
				"--values", valuesFile(set))
			_, notes, ok := strings.Cut(out, "NOTES:\n")
			if err != nil || !ok {
				t.Fatalf("%v: %s", err, stderr)
			}
			golden(t, filepath.Join("testdata", "golden", set+".notes.txt"), notes)
		})
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Fatalf("%s differs from line %d on: run make chart-generate and look at the difference. It has %q now",
				path, i+1, line)
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("%s has %d lines more: run make chart-generate", path, len(wantLines)-len(gotLines))
	}
}

// TestPackage shows that the package has the version of the file VERSION, that two builds of it are the same, and that
// nothing is in it but the chart.
func TestPackage(t *testing.T) {
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	name := "client-session-service-" + strings.TrimSpace(string(version))
	var packages [2][]byte
	for i := range packages {
		dist := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sh", root+"/tools/chart/package.sh", dist)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		path := filepath.Join(dist, name+".tgz")
		if packages[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			break
		}
		out, stderr, err := helm(t, "template", "sessions", path, "--values", valuesFile("monitoring"))
		if err != nil || stderr != "" {
			t.Fatalf("helm template: %v: %s", err, stderr)
		}
		for _, want := range []string{
			"image: \"images.example.com/client-session-service:" + strings.TrimSpace(string(version)) + `"`,
			"helm.sh/chart: " + name, "alert: SeamFailing",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("the package renders no %s", want)
			}
		}
		time.Sleep(time.Second) // The times of a tar archive are in seconds.
	}
	if !bytes.Equal(packages[0], packages[1]) {
		t.Error("two builds of the package differ")
	}
}
