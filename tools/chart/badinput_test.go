package chart_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestInvalidValues shows that helm refuses values, and that what it says names the value and the mend.
func TestInvalidValues(t *testing.T) {
	for name, test := range map[string]struct {
		values string // They have precedence over those of production.yaml.
		want   []string
	}{
		"wrong type": {"replicaCount: three", []string{"'/replicaCount'", "got string, want integer"}},
		"unknown key": {
			"replicas: 3", []string{"additional properties 'replicas' not allowed"},
		},
		"unknown key within": {
			"tls: {secret: x}", []string{"'/tls'", "additional properties 'secret' not allowed"},
		},
		"none of the enumeration": {
			"service: {type: Loadbalancer}", []string{"'/service/type'", "'ClusterIP', 'NodePort', 'LoadBalancer'"},
		},
		"not a digest": {"image: {digest: latest}", []string{"'/image/digest'", "sha256:"}},
		"not a quantity": {
			"resources: {limits: {memory: 256mb}}", []string{"'/resources/limits/memory'", "'256mb'", "Ki|Mi|Gi"},
		},
		"unknown setting": {
			"config: {drain-tiemout: 20s}", []string{"'/config'", "additional properties 'drain-tiemout' not allowed"},
		},
		"a setting of the chart's own": {
			`config: {grpc-listen: ":1"}`, []string{"'/config'", "additional properties 'grpc-listen' not allowed"},
		},
		"a setting without its unit": {
			"config: {drain-timeout: 20}", []string{"'/config/drain-timeout'", "got number, want string"},
		},
		"a setting of another type": {
			"config: {max-in-flight: many}", []string{"'/config/max-in-flight'", "got string, want integer"},
		},
		"a setting out of range": {
			"config: {max-in-flight: 0}", []string{"'/config/max-in-flight'", "got 0, want 1"},
		},
		"a setting that is a number in YAML": {
			"config: {tls-min-version: 1.2}", []string{"'/config/tls-min-version'", "'1.3', '1.2'"},
		},
		"no setting to drain by": {
			"config: {drain-delay: null}", []string{"'/config'", "missing property 'drain-delay'"},
		},
		"no image": {"image: {repository: ''}", []string{"image.repository: is required: set it to"}},
		"a service credential for everybody": {
			"callers: {list: []}",
			[]string{"serviceCredential.secretName: any client could use", "set callers.list, callers.configMapName or"},
		},
		"callers without a service credential": {
			"serviceCredential: {secretName: ''}",
			[]string{"callers.list: needs a service credential: set serviceCredential.secretName"},
		},
		"callers twice": {
			"callers: {secretName: callers}", []string{"callers.list and callers.secretName: set only one"},
		},
		"a workspace without a token": {
			"{serviceCredential: {secretName: '', workspaceId: x}, callers: {list: []}}",
			[]string{"serviceCredential.workspaceId: needs a personal access token: set serviceCredential.secretName"},
		},
		"authorities without TLS": {
			"tls: {secretName: '', clientCASecretName: ca}",
			[]string{"tls.clientCASecretName: needs TLS: set tls.secretName"},
		},
		"autoscaling by nothing": {
			"autoscaling: {enabled: true, cpuUtilization: 0}",
			[]string{"autoscaling.enabled: needs a metric: set autoscaling.cpuUtilization, memory"},
		},
		"a share of no request": {
			"{autoscaling: {enabled: true}, resources: {requests: null}}",
			[]string{"autoscaling.cpuUtilization: is a share of the request: set resources.requests.cpu"},
		},
		"memory without a request": {
			"{autoscaling: {enabled: true, memoryUtilization: 80}, resources: {requests: {memory: null}}}",
			[]string{"autoscaling.memoryUtilization: is a share of the request: set resources.requests.memory"},
		},
		"an Ingress to no host": {
			"grpcIngress: {enabled: true}", []string{"grpcIngress.enabled: goes nowhere: set grpcIngress.hosts"},
		},
		"a route without a Gateway": {
			"httpRoute: {enabled: true}", []string{"httpRoute.enabled: goes nowhere: set httpRoute.parentRefs"},
		},
		"a certificate for no Secret": {
			"tls: {secretName: '', certificate: {issuerRef: {name: ca}}}",
			[]string{"tls.certificate: needs a Secret to write: set tls.secretName"},
		},
		"rules for no job": {
			"prometheusRule: {enabled: true}",
			[]string{"prometheusRule.enabled: the rules are for the job of the ServiceMonitor: set serviceMonitor.enabled"},
		},
		"a label of the chart's own": {
			"commonLabels: {app.kubernetes.io/name: x}", []string{"commonLabels: the label app.kubernetes.io/name is the chart's own"},
		},
		"a label of the chart's own in monitoring": {
			"serviceMonitor: {labels: {app.kubernetes.io/instance: x}}",
			[]string{"serviceMonitor.labels: the label app.kubernetes.io/instance is the chart's own"},
		},
		"a field of the Service that is the chart's own": {
			"service: {spec: {ports: []}}", []string{"'/service/spec'", "additional properties 'ports' not allowed"},
		},
		"a probe of another kind": {
			"livenessProbe: {exec: {command: [true]}}", []string{"'/livenessProbe/exec'", "got object, want integer"},
		},
		"more than the most": {
			"autoscaling: {enabled: true, minReplicas: 11}",
			[]string{"autoscaling.minReplicas: 11 is more than maxReplicas, 10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(path, []byte(test.values), 0o600); err != nil {
				t.Fatal(err)
			}
			_, stderr, err := helm(t, "template", "sessions", chart, "--values", valuesFile("production"), "--values", path)
			if err == nil {
				t.Fatal("it is rendered")
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("it does not say %q:\n%s", want, stderr)
				}
			}
		})
	}
}

// TestNull shows that a value of null is the same as a default that is empty, and that it is refused where the default is
// not empty, by the name of the value.
func TestNull(t *testing.T) {
	null := func(paths []string) (stdout, stderr string) {
		args := []string{"template", "sessions", chart, "--namespace", "doors"}
		for _, path := range paths {
			args = append(args, "--set", path+"=null")
		}
		stdout, stderr, _ = helm(t, append(args, "--set", "image.repository=images.example.com/client-session-service")...)
		return stdout, stderr
	}
	sections := map[string]bool{}
	var empty, others []string
	for _, v := range readValues(t) {
		section, _, within := strings.Cut(v.path, ".")
		sections[section] = true
		switch {
		case v.path == "image.repository":
		case v.mayBeNull():
			empty = append(empty, v.path)
		case within:
			others = append(others, v.path)
		}
	}
	if got, stderr := null(empty); got != render(t, "defaults") {
		t.Errorf("%q of null differ from the defaults: %s", empty, stderr)
	}
	_, stderr := null(others)
	for _, path := range others {
		if name := path[strings.LastIndex(path, ".")+1:]; !strings.Contains(stderr, "'"+name+"'") {
			t.Errorf("%s of null: %s", path, stderr)
		}
	}
	for section := range sections {
		if slices.Contains(empty, section) {
			continue
		}
		_, stderr := null([]string{section})
		if !strings.Contains(stderr, "missing property '"+section+"'") && section != "image" {
			t.Errorf("%s of null: %s", section, stderr)
		}
	}
}

// TestInvalidFilesOfPods shows what a pod says whose ConfigMap or Secret has an error: exit code 2, and the file, the
// place and the mend. Kubernetes restarts it, and the replicas of before go on.
func TestInvalidFilesOfPods(t *testing.T) {
	ours := servicetest.NewAuthority(t, "ours")
	certificate, key := issue(t, ours)
	ours.Lifetime = -time.Minute
	expired, keyOfExpired := issue(t, ours)
	for name, test := range map[string]struct {
		outside map[string]string // In place of the valid ones, by Secret and key.
		set     string
		want    []string
	}{
		"expired certificate": {
			map[string]string{"client-session-service-tls/tls.crt": expired, "client-session-service-tls/tls.key": keyOfExpired},
			"",
			[]string{"--tls-cert-file and --tls-key-file: ", "/tls/tls.crt expired on 20", ": renew it"},
		},
		"key of another certificate": {
			map[string]string{"client-session-service-tls/tls.key": keyOfExpired},
			"",
			[]string{"--tls-cert-file and --tls-key-file: ", "private key does not match public key"},
		},
		"key of the wrong kind": {
			map[string]string{"seam-api-key/api-key": "seam_cst1_passw0rd"},
			"",
			[]string{"--seam-api-key-file: ", "/credential/api-key: the key begins with seam_cst"},
		},
		"callers with a misspelt member": {
			nil, `callers.list=[{"name":"door-service","token_sha256":["` + strings.Repeat("a", 64) + `"],"rpc":["List"]}]`,
			[]string{"--callers-file: ", "/callers/callers.yaml: not a callers file: line 3: \"rpc\" is none of name, "},
		},
		"callers with an unknown RPC": {
			nil, `callers.list=[{"name":"door-service","token_sha256":["` + strings.Repeat("a", 64) + `"],"rpcs":["Lst"]}]`,
			[]string{"--callers-file: ", "/callers/callers.yaml: callers[0] \"door-service\": rpcs: \"Lst\" is none of "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var args []string
			if test.set != "" {
				args = []string{"--set-json", test.set}
			}
			objects := decode(t, render(t, "production", args...))
			outside := secrets{
				"seam-api-key":               {"api-key": apiKey},
				"client-session-service-tls": {"tls.crt": certificate, "tls.key": key},
			}
			for at, content := range test.outside {
				name, key, _ := strings.Cut(at, "/")
				outside[name][key] = content
			}
			got := servicetest.Run(t, newPod(t, objects, outside).Cmd)
			if got.Code != 2 {
				t.Errorf("exit code %d, want 2", got.Code)
			}
			said := strings.ReplaceAll(got.Stderr, `\"`, `"`) // The lines are JSON.
			for _, want := range append(test.want, "invalid configuration") {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, got.Stderr)
				}
			}
			if strings.Contains(got.Stderr, "passw0rd") {
				t.Errorf("it quotes a key:\n%s", got.Stderr)
			}
		})
	}
}

// TestOldReplicasGoOn shows that a pod without its Secret or ConfigMap does not start, and that no rollout ends a
// replica before a new one is ready.
func TestOldReplicasGoOn(t *testing.T) {
	for _, set := range sets {
		deployment := only[*appsv1.Deployment](decode(t, render(t, set)))[0]
		if unavailable := deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue(); unavailable != 0 {
			t.Errorf("%s: a rollout ends %d replicas first", set, unavailable)
		}
		spec := deployment.Spec.Template.Spec
		for _, volume := range spec.Volumes {
			if (volume.Secret != nil && volume.Secret.Optional != nil) ||
				(volume.ConfigMap != nil && volume.ConfigMap.Optional != nil) {
				t.Errorf("%s: the volume %s is optional", set, volume.Name)
			}
		}
		for _, variable := range spec.Containers[0].Env {
			if from := variable.ValueFrom; from != nil && from.SecretKeyRef.Optional != nil {
				t.Errorf("%s: the variable %s is optional", set, variable.Name)
			}
		}
		if spec.Containers[0].ReadinessProbe == nil {
			t.Errorf("%s: every pod is ready at once", set)
		}
	}
}
