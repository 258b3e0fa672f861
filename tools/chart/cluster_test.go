package chart_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestReplicasWhileAutoscaling shows that autoscaling does not set the replicas of a release that runs to 1, which is
// what the API server makes of a Deployment that has lost its replicas.
func TestReplicasWhileAutoscaling(t *testing.T) {
	helmOwns := object{"manager": "helm", "operation": "Apply", "fieldsV1": object{"f:spec": object{"f:replicas": object{}}}}
	scaleOwns := object{"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale"}
	replicas := int32(3)
	for name, test := range map[string]struct {
		managers []object // None, where there is no Deployment.
		want     *int32
	}{
		"installed":                             {nil, nil},
		"switched on":                           {[]object{helmOwns}, &replicas},
		"scaled, and a conflict to Helm":        {[]object{helmOwns, scaleOwns}, nil},
		"scaled, without server-side apply":     {[]object{{"manager": "helm", "operation": "Update"}, scaleOwns}, &replicas},
		"switched on without server-side apply": {[]object{{"manager": "helm", "operation": "Update"}}, &replicas},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(apiServer{managers: test.managers, replicas: replicas})
			defer server.Close()
			got := only[*appsv1.Deployment](decode(t, render(t, "defaults", "--set", "autoscaling.enabled=true",
				"--dry-run=server", "--is-upgrade", "--disable-openapi-validation", "--kube-apiserver", server.URL)))[0].Spec.Replicas
			if (got == nil) != (test.want == nil) || (got != nil && *got != *test.want) {
				t.Errorf("the replicas are %v, want %v", got, test.want)
			}
		})
	}
}

// apiServer has a Deployment, unless nobody manages its fields, and knows the kinds that the chart renders by default.
type apiServer struct {
	managers []object
	replicas int32
}

func (s apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kinds := map[string][]string{
		"/api/v1":                    {"Service", "ServiceAccount"},
		"/apis/apps/v1":              {"Deployment"},
		"/apis/autoscaling/v2":       {"HorizontalPodAutoscaler"},
		"/apis/networking.k8s.io/v1": {"NetworkPolicy"},
		"/apis/policy/v1":            {"PodDisruptionBudget"},
	}
	var groups, resources []object
	for at := range kinds {
		if version, ok := strings.CutPrefix(at, "/apis/"); ok {
			versions := []object{{"groupVersion": version, "version": path.Base(version)}}
			groups = append(groups, object{"name": path.Dir(version), "versions": versions})
		}
	}
	for _, kind := range kinds[r.URL.Path] {
		resources = append(resources, object{"name": strings.ToLower(kind) + "s", "namespaced": true, "kind": kind})
	}
	version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	content := object{"kind": "APIResourceList", "groupVersion": version, "resources": resources}
	switch {
	case r.URL.Path == "/version":
		content = object{"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
	case r.URL.Path == "/api":
		content = object{"kind": "APIVersions", "versions": []string{"v1"}}
	case r.URL.Path == "/apis":
		content = object{"kind": "APIGroupList", "groups": groups}
	case strings.HasSuffix(r.URL.Path, "/apps/v1/namespaces/doors/deployments/sessions-client-session-service") && s.managers != nil:
		content = object{
			"kind": "Deployment", "apiVersion": "apps/v1",
			"metadata": object{"managedFields": s.managers}, "spec": object{"replicas": s.replicas},
		}
	case len(resources) == 0:
		content = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
	}
	w.Header().Set("Content-Type", "application/json")
	if content["kind"] == "Status" {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(content)
}

// TestHelmTest shows that the pod of `helm test` succeeds where the service is ready, that no Service sends calls to it,
// and that the NetworkPolicy beside it lets it in.
func TestHelmTest(t *testing.T) {
	objects := decode(t, render(t, "defaults"))
	service := servicetest.Start(t, newPod(t, objects, secrets{}).Cmd)
	service.AwaitReady()
	pod := only[*corev1.Pod](objects)[0]
	args := strings.Join(pod.Spec.Containers[0].Args, "\n")
	got := servicetest.Run(t, servicetest.Command(t, strings.Split(args, "\n")...))
	if got.Code != 1 || !strings.Contains(got.Stderr, "does not respond: ") {
		t.Errorf("where no name resolves: exit code %d: %s", got.Code, got.Stderr)
	}
	at := strings.Replace(args, only[*corev1.Service](objects)[1].Name+":9091", service.Admin, 1)
	if got := servicetest.Run(t, servicetest.Command(t, strings.Split(at, "\n")...)); got.Code != 0 {
		t.Errorf("%s: exit code %d: %s", at, got.Code, got.Stderr)
	}
	for _, service := range only[*corev1.Service](objects) {
		if selects(service, pod.Labels) {
			t.Errorf("the Service %s selects it", service.Name)
		}
	}
	policy := only[*networkingv1.NetworkPolicy](objects)[1]
	for key, value := range policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels {
		if pod.Labels[key] != value {
			t.Errorf("the NetworkPolicy lets in %s=%s, and it has %q", key, value, pod.Labels[key])
		}
	}
	service.Stop()
}

// TestAdminWithoutPeers shows that nobody reaches the admin listener where no peer may, rather than everybody.
func TestAdminWithoutPeers(t *testing.T) {
	objects := decode(t, render(t, "defaults", "--set-json", "networkPolicy.prometheus=[]"))
	for _, rule := range only[*networkingv1.NetworkPolicy](objects)[0].Spec.Ingress {
		for _, port := range rule.Ports {
			if port.Port.StrVal == "admin" {
				t.Errorf("it lets in %v", rule.From)
			}
		}
	}
}

// TestServiceNamesAreAllowed shows that the REST face takes the names of both Services where any client may use the
// service credential, and still refuses others.
func TestServiceNamesAreAllowed(t *testing.T) {
	objects := decode(t, render(t, "defaults", "--set", "serviceCredential.secretName=seam-api-key",
		"--set", "config.allow-anonymous=true", "--set-json", `config.allowed-host=["mine.example.com"]`))
	seam := servicetest.StartReady(t, "sandbox", "--listen=127.0.0.1:0")
	service := servicetest.Start(t,
		newPod(t, objects, secrets{"seam-api-key": {"api-key": apiKey}}, "--seam-endpoint="+seam.Seam).Cmd)
	service.AwaitReady()
	want := map[string]int{"mine.example.com": http.StatusOK, "evil.example.com": http.StatusForbidden}
	for _, of := range only[*corev1.Service](objects) {
		for _, domain := range []string{"", ".doors", ".doors.svc", ".doors.svc.cluster.local"} {
			want[of.Name+domain+":8080"] = http.StatusOK
		}
	}
	for host, want := range want {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"http://"+service.HTTP+"/client_sessions/list", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Host, request.Close = host, true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, response.StatusCode, want)
		}
	}
	service.Stop()
	seam.Stop()
}
