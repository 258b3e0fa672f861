package chart_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/clientsession/client-session-service/service/servicetest"
)

const (
	// The sandbox has these, and production.yaml the hash of the token.
	apiKey      = "seam_testSand_sandboxsandboxsandboxsan"
	accessToken = "seam_at1Sand_sandboxsandboxsandboxsan"
	token       = "css_token"
	tokenHash   = "token_sha256: [b40745ebe8b110142fffcaa492dd4a84632c71e7455677802f4bb23d432e6e7f]"
	callersFile = "callers:\n- name: door-service\n  dns_name: shop.example.com\n  rpcs: [List]\n"
)

// TestRenderedPodsServe starts the service as the pods of each set would start it, against a sandbox of its own, and
// ends it as the kubelet does.
func TestRenderedPodsServe(t *testing.T) {
	ours := servicetest.NewAuthority(t, "ours")
	serverCertificate, serverKey := issue(t, ours)
	certificate := map[string]string{"tls.crt": serverCertificate, "tls.key": serverKey}
	for set, test := range map[string]struct {
		outside secrets
		// token is what a caller sends, empty where its certificate authenticates it.
		token string
		tls   *tls.Config
	}{
		"defaults": {secrets{}, apiKey, nil},
		"mesh":     {secrets{}, apiKey, nil},
		"production": {
			secrets{"seam-api-key": {"api-key": apiKey}, "client-session-service-tls": certificate}, token, ours.Client(t, nil),
		},
		"monitoring": {
			secrets{
				"seam-access-token": {"token": accessToken},
				"session-callers":   {"callers.yaml": strings.ReplaceAll(callersFile, "dns_name: shop.example.com", tokenHash)},
			}, token, nil,
		},
		"everything": {
			secrets{
				"seam-api-key": {"key": apiKey}, "session-callers": {"callers": callersFile},
				"client-session-service-tls": certificate, "client-session-service-ca": {"ca.crt": string(ours.PEM)},
				"seam-ca": {"ca.crt": string(ours.PEM)},
			}, "", ours.Client(t, ours),
		},
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel() // Each drains for seconds.
			objects := decode(t, render(t, set))
			// Seam is in plain text, as no set trusts the authority of a sandbox.
			seam := servicetest.StartReady(t, "sandbox", "--listen=127.0.0.1:0")
			pod := newPod(t, objects, test.outside, "--seam-endpoint="+seam.Seam)
			p := &running{pod, servicetest.Start(t, pod.Cmd)}
			p.AwaitReady()
			for _, probe := range []*corev1.Probe{p.container.StartupProbe, p.container.ReadinessProbe, p.container.LivenessProbe} {
				_ = p.Get(probe.HTTPGet.Path) // Which fails the test unless the status is 200.
				if probe.HTTPGet.Port.StrVal != "admin" {
					t.Errorf("the probe %s is of the port %s", probe.HTTPGet.Path, probe.HTTPGet.Port.StrVal)
				}
			}
			p.checkMemoryLimit(t)
			anonymous := test.tls
			if test.token == "" {
				anonymous = ours.Client(t, nil)
			}
			// The ports of the Services, as NOTES.txt gives them.
			for _, service := range only[*corev1.Service](objects) {
				checkREST(t, p.at(t, service, "http"), test.tls, anonymous, test.token)
				checkGRPC(t, p.at(t, service, "grpc"), test.tls, anonymous, test.token)
			}
			p.end(t)
		})
	}
}

// issue returns a certificate and its key as the contents of a Secret.
func issue(t *testing.T, signer *servicetest.Authority) (certificate, key string) {
	t.Helper()
	certificatePEM, keyPEM := signer.Issue(t, "test")
	return string(certificatePEM), string(keyPEM)
}

// running is a pod that has started.
type running struct {
	*pod
	*servicetest.Process
}

// at is the address to which a Service sends what comes to its port of that name.
func (p *running) at(t *testing.T, service *corev1.Service, name string) string {
	t.Helper()
	labels := p.deployment.Spec.Template.Labels
	for key, value := range service.Spec.Selector {
		if labels[key] != value {
			t.Errorf("the Service %s selects %s=%s, and the pods have %q", service.Name, key, value, labels[key])
		}
	}
	for _, port := range service.Spec.Ports {
		if port.Name == name {
			return map[string]string{"grpc": p.GRPC, "http": p.HTTP, "admin": p.Admin}[port.TargetPort.StrVal]
		}
	}
	t.Fatalf("the Service %s has no port %s", service.Name, name)
	return ""
}

// checkMemoryLimit shows that GOMEMLIMIT is in force, and is what the chart says of it.
func (p *running) checkMemoryLimit(t *testing.T) {
	t.Helper()
	got := p.Metric("go_gc_gomemlimit_bytes")
	limit, limited := p.container.Resources.Limits[corev1.ResourceMemory]
	want := float64(int64(limit.AsApproximateFloat64() * 0.9))
	if !limited {
		want = 1<<63 - 1
	} else if p.deployment.Name == "sessions" { // It sets its own.
		want = 200 << 20
	}
	if got != want {
		t.Errorf("GOMEMLIMIT is %.0f, want %.0f", got, want)
	}
}

// end sends SIGTERM. The kubelet would kill the process at the end of the grace period.
func (p *running) end(t *testing.T) {
	t.Helper()
	grace := time.Duration(*p.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if took := p.Stop(); took > grace {
		t.Errorf("it took %s to end, and has %s", took, grace)
	}
	if !strings.Contains(p.Log(), "stopped") {
		t.Error("it does not say that it stopped")
	}
	for _, secret := range []string{apiKey, accessToken, token} {
		if strings.Contains(p.Log(), secret) {
			t.Errorf("the log has a credential")
		}
	}
}

func get(t *testing.T, client *http.Client, url, token string) (code int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // A connection that is kept would be cut off at the end.
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func checkREST(t *testing.T, address string, caller, anonymous *tls.Config, token string) {
	t.Helper()
	url := "http://" + address + "/client_sessions/list"
	if caller != nil {
		url = strings.Replace(url, "http:", "https:", 1)
	}
	client := func(config *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	}
	if code, text := get(t, client(caller), url, token); code != http.StatusOK || !strings.Contains(text, "client_sessions") {
		t.Errorf("REST: %d %s", code, text)
	}
	if code, _ := get(t, client(anonymous), url, ""); code != http.StatusUnauthorized {
		t.Errorf("REST, without a credential: %d", code)
	}
}

func checkGRPC(t *testing.T, address string, caller, anonymous *tls.Config, token string) {
	t.Helper()
	for _, test := range []struct {
		tls   *tls.Config
		token string
		want  codes.Code
	}{{caller, token, codes.OK}, {anonymous, "", codes.Unauthenticated}} {
		transport := insecure.NewCredentials()
		if test.tls != nil {
			transport = credentials.NewTLS(test.tls)
		}
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if test.token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+test.token)
		}
		// An empty message is a valid request, and fields that it does not know are not lost.
		var response emptypb.Empty
		err = connection.Invoke(ctx, "/seam.clientsession.v1.ClientSessionService/List", &emptypb.Empty{}, &response)
		if status.Code(err) != test.want || (err == nil && len(response.ProtoReflect().GetUnknown()) == 0) {
			t.Errorf("gRPC: %v, want %s", err, test.want)
		}
		cancel()
		_ = connection.Close()
	}
}

// TestMemoryLimits shows that the chart reads quantities as Kubernetes does.
func TestMemoryLimits(t *testing.T) {
	for _, limit := range []string{"256Mi", "1Gi", "0.5Gi", "1.5G", "300M", "134217728", "262144k", "200000Ki"} {
		t.Run(limit, func(t *testing.T) {
			for _, set := range []string{"--set", "--set-string"} {
				objects := decode(t, render(t, "defaults", set, "resources.limits.memory="+limit))
				quantity := resource.MustParse(limit)
				want := strconv.FormatInt(int64(quantity.AsApproximateFloat64()*0.9), 10)
				variable := only[*appsv1.Deployment](objects)[0].Spec.Template.Spec.Containers[0].Env[0]
				if variable.Name != "GOMEMLIMIT" || variable.Value != want {
					t.Errorf("%s is %s, want %s", variable.Name, variable.Value, want)
				}
			}
		})
	}
}

// TestTerminationGracePeriod shows that the grace period is longer than the drain, in whatever units it is set.
func TestTerminationGracePeriod(t *testing.T) {
	for _, test := range []struct{ delay, timeout string }{
		{"0s", "1s"}, {"5s", "20s"}, {"1s500ms", "1m"}, {"900ms", "0.5h"}, {"1m30s", "1h"},
	} {
		objects := decode(t, render(t, "defaults",
			"--set-string", "config.drain-delay="+test.delay, "--set-string", "config.drain-timeout="+test.timeout))
		seconds := *only[*appsv1.Deployment](objects)[0].Spec.Template.Spec.TerminationGracePeriodSeconds
		delay, _ := time.ParseDuration(test.delay)
		timeout, _ := time.ParseDuration(test.timeout)
		if margin := time.Duration(seconds)*time.Second - delay - timeout; margin < 4*time.Second || margin > 5*time.Second {
			t.Errorf("%s and %s: %d seconds", test.delay, test.timeout, seconds)
		}
	}
}
