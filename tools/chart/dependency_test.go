package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
)

// renderParent renders a parent chart that has the chart twice, as sessions and as doorSessions.
func renderParent(t *testing.T, release string, args ...string) []runtime.Object {
	t.Helper()
	parent := t.TempDir()
	if err := os.CopyFS(filepath.Join(parent, "charts", "client-session-service"), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"Chart.yaml": `{apiVersion: v2, name: parent, version: 0.0.0, dependencies: [
			{name: client-session-service, version: 0.0.0, alias: sessions, condition: sessions.enabled},
			{name: client-session-service, version: 0.0.0, alias: doorSessions, condition: doorSessions.enabled}]}`,
		"values.yaml": `{global: {team: doors}, sessions: &values {enabled: true, image: {repository: images.example.com/sessions},
			serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}}, doorSessions: *values}`,
	} {
		if err := os.WriteFile(filepath.Join(parent, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stdout, stderr, err := helm(t, append([]string{"template", release, parent}, args...)...)
	if err != nil || stderr != "" {
		t.Fatalf("helm template: %v: %s", err, stderr)
	}
	return decode(t, stdout)
}

// TestDependency shows that a parent chart can have the chart twice: no two objects have the same name, the Services of
// one do not select the pods of the other, and Prometheus distinguishes their jobs.
func TestDependency(t *testing.T) {
	for _, release := range []string{"app", "sessions", "door-sessions", "app.v2", strings.Repeat("long-", 10) + "app"} {
		t.Run(release, func(t *testing.T) {
			objects := renderParent(t, release)
			names, jobs := map[string]bool{}, map[string]bool{}
			for _, object := range objects {
				named, err := meta.Accessor(object)
				if err != nil {
					t.Fatal(err)
				}
				name := reflect.TypeOf(object).String() + " " + named.GetName()
				if names[name] || len(named.GetName()) > 63 {
					t.Errorf("%s is there twice, or is too long", name)
				}
				names[name] = true
			}
			for _, monitor := range only[*monitoringv1.ServiceMonitor](objects) {
				relabeling := monitor.Spec.Endpoints[0].RelabelConfigs[0]
				jobs[relabeling.TargetLabel+"="+*relabeling.Replacement] = true
			}
			selected := 0
			for _, service := range only[*corev1.Service](objects) {
				if invalid := validation.IsDNS1035Label(service.Name); invalid != nil {
					t.Errorf("the name of a Service: %s", invalid)
				}
				for _, deployment := range only[*appsv1.Deployment](objects) {
					if selects(service, deployment.Spec.Template.Labels) {
						selected++
					}
				}
			}
			if len(jobs) != 2 || selected != 4 {
				t.Errorf("the jobs are %v, and the four Services select %d Deployments", jobs, selected)
			}
		})
	}
}

// selects reports whether a Service selects pods with these labels.
func selects(service *corev1.Service, labels map[string]string) bool {
	for key, value := range service.Spec.Selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// TestDependencyConditions shows that a parent chart can leave the chart out, and give the ids of users to the platform.
func TestDependencyConditions(t *testing.T) {
	objects := renderParent(t, "app", "--set", "sessions.enabled=false", "--set", "doorSessions.openshift=true")
	deployments := only[*appsv1.Deployment](objects)
	if len(deployments) != 1 || deployments[0].Name != "app-doorsessions" {
		t.Fatalf("%d Deployments are rendered, the first %s", len(deployments), deployments[0].Name)
	}
	for _, security := range []*corev1.PodSecurityContext{
		deployments[0].Spec.Template.Spec.SecurityContext, only[*corev1.Pod](objects)[0].Spec.SecurityContext,
	} {
		if security.RunAsUser != nil || security.RunAsGroup != nil || security.FSGroup != nil || !*security.RunAsNonRoot {
			t.Errorf("the security context is %s", security)
		}
	}
}

// TestAlertsOfAliases asks promtool whether each of two aliases alerts for its own job, and whether no alert is there
// twice: Seam refuses the credential of one, and the other is absent.
func TestAlertsOfAliases(t *testing.T) {
	promtool, err := exec.CommandContext(t.Context(), "sh", root+"/deploy/observability/prometheus.sh", "promtool").Output()
	if err != nil {
		t.Fatalf("no promtool: %v", err)
	}
	folder := t.TempDir()
	write := func(name string, content any) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(encode(t, content, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var files []string
	groups := map[string]bool{}
	firing := map[string]object{}
	for _, rules := range only[*monitoringv1.PrometheusRule](renderParent(t, "app", "--namespace", "doors")) {
		files = append(files, write(rules.Name+".yaml", rules.Spec))
		groups[rules.Spec.Groups[0].Name] = true
		for _, rule := range rules.Spec.Groups[0].Rules {
			firing[rule.Alert] = object{"alertname": rule.Alert, "eval_time": "20m", "exp_alerts": []object{{
				"exp_labels":      object{"severity": rule.Labels["severity"], "namespace": "doors", "job": "app-sessions"},
				"exp_annotations": rule.Annotations,
			}}}
		}
	}
	if len(groups) != 2 {
		t.Errorf("the groups of two aliases are %v", groups)
	}
	absent := firing["ServiceAbsent"]
	absent["exp_alerts"].([]object)[0]["exp_labels"].(object)["job"] = "app-doorsessions"
	series := func(metric, job, values string) object {
		return object{"series": metric + `{namespace="doors",job="` + job + `"}`, "values": values}
	}
	cases := write("cases.yaml", object{"rule_files": files, "tests": []object{{
		"interval": "1m",
		"input_series": []object{
			series("client_session_service_build_info", "app-sessions", "1x30"),
			series("client_session_service_build_info", "app-doorsessions", "1x5"),
			series("client_session_service_service_credential_refused_total", "app-sessions", "0+1x30"),
		},
		"alert_rule_test": []object{firing["ServiceCredentialRefused"], absent},
	}}})
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(promtool)), "test", "rules", cases)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
