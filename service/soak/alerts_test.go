//go:build soak

package soak_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

const (
	// history is how long the services are healthy first. At twice the rate these are as many calls as the windows of two
	// minutes have in a service that has run for long.
	history, historyRate = time.Minute, 2 * faultRate
	// pageTime is how soon the alert has to fire, with so many calls a second.
	pageTime, faultRate = 3 * time.Minute, 10

	production, staging = "production", "staging"
)

// monitored is a service that Prometheus scrapes, with callers and a Seam of its own.
type monitored struct {
	namespace, job string
	// start starts it.
	start func(t *testing.T, m *monitored)
	// rate is how many calls a second there are at least. The callers wait until their deadline, or for as long as the
	// service does if that is 0.
	rate     int
	deadline time.Duration
	// alert is the one that names its fault, empty for a service that stays healthy, and cause what the lines of failed
	// calls say.
	alert, cause string

	service *process
	clients *caller
	fail    func()
}

// TestAlertsInPrometheus shows that with deploy/observability/alerts.yaml Prometheus pages within three minutes of a
// fault, that the alert names the fault and the service that has it, and that the log tells why calls fail.
func TestAlertsInPrometheus(t *testing.T) {
	services := []*monitored{
		{namespace: production, job: "healthy", start: withFault(sandbox.Fault{})},
		// Ten times the calls must not hide the fault of the service of the same name in production.
		{namespace: staging, job: "limited", rate: 10 * faultRate, start: withFault(sandbox.Fault{})},
		{
			namespace: production, job: "limited", start: withFault(sandbox.Fault{RateLimit: true, RetryAfter: 5}),
			alert: "SeamLimitsRate", cause: "HTTP status 429, too_many_requests",
		},
		{
			namespace: production, job: "hangs", start: withFault(sandbox.Fault{Delay: time.Hour}),
			alert: "SeamHangs", cause: "no response from 127.0.0.1 within ",
		},
		{
			namespace: production, job: "hangs, short deadline", deadline: 10 * time.Second,
			start: withFault(sandbox.Fault{Delay: time.Hour}),
			alert: "SeamHangs", cause: "no response from 127.0.0.1 within ",
		},
		{
			namespace: production, job: "unavailable, page",
			start: withFault(sandbox.Fault{
				Status: http.StatusServiceUnavailable, ContentType: "text/html", Body: "<h1>Maintenance</h1>",
			}),
			alert: "SeamFailing", cause: "HTTP status 503, 20 bytes of text/html",
		},
		{
			namespace: production, job: "unavailable, empty",
			start: withFault(sandbox.Fault{Status: http.StatusServiceUnavailable}),
			alert: "SeamFailing", cause: "HTTP status 503, empty body",
		},
		{
			namespace: production, job: "credential", start: withRefusedCredential,
			alert: "ServiceCredentialRefused", cause: "the service credential is refused: HTTP status 401, unauthorized",
		},
		{
			namespace: production, job: "Seam's certificate", start: withSeamsCertificateExpired,
			alert: "SeamUnreachable", cause: "certificate has expired",
		},
		{
			namespace: production, job: "unreachable", start: withSeamGone,
			alert: "SeamUnreachable", cause: "connection refused",
		},
		{namespace: production, job: "certificate", start: withCertificateExpired, alert: "CertificateExpired"},
	}
	for _, m := range services {
		m.start(t, m)
	}
	p := startPrometheus(t, services)
	var calls sync.WaitGroup
	for _, m := range services {
		calls.Go(func() { m.load(history, historyRate) })
	}
	calls.Wait()
	if early := p.firing(t); len(early) > 0 {
		t.Errorf("%v fire before there is a fault", early)
	}
	began := time.Now()
	for _, m := range services {
		m.fail()
		calls.Go(func() { m.load(pageTime, faultRate) })
	}
	first := map[firing]time.Duration{}
	for ; time.Since(began) < pageTime; time.Sleep(time.Second) {
		for _, f := range p.firing(t) {
			if _, known := first[f]; !known {
				first[f] = time.Since(began)
				t.Logf("after %3.0f s: %s, %s %s", first[f].Seconds(), f.alert, f.namespace, f.job)
			}
		}
	}
	calls.Wait()
	for _, m := range services {
		m.check(t, began, first)
	}
	for f := range first {
		t.Errorf("%s fires for %s %s, which does not have that fault", f.alert, f.namespace, f.job)
	}
}

// load makes calls over both faces.
func (m *monitored) load(during time.Duration, perSecond int) {
	openLoop(time.After(during), max(m.rate, perSecond), func(i int) {
		ctx := context.Background()
		if m.deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, m.deadline)
			defer cancel()
		}
		face := []string{faceGRPC, faceREST}[i%2]
		m.clients.call(ctx, face, grantAccess(), grant(), &clientsessionv1.GrantAccessResponse{})
	})
}

// check checks that the alert that names the fault has fired, and what the log says since the fault. It removes the alerts
// that are right.
func (m *monitored) check(t *testing.T, began time.Time, first map[firing]time.Duration) {
	t.Helper()
	named := firing{m.alert, m.namespace, m.job}
	if _, fires := first[named]; !fires && m.alert != "" {
		t.Errorf("%s %s: %s does not fire within %s", m.namespace, m.job, m.alert, pageTime)
	}
	delete(first, named)
	if m.cause != "" { // Calls fail, so the error budget burns as well.
		delete(first, firing{"ErrorBudgetBurnFast", m.namespace, m.job})
	}
	failed, told := 0, 0
	for line := range strings.Lines(m.service.Log()) {
		var entry struct {
			Time             time.Time
			Msg, Code, Cause string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%s %s: the line %q in the log is not JSON", m.namespace, m.job, line)
		}
		if entry.Msg == "call" && entry.Code != "OK" && entry.Time.After(began) {
			failed++
			if strings.Contains(entry.Cause, m.cause) {
				told++
			}
		}
	}
	if (failed == 0) != (m.cause == "") || told*10 < failed*9 {
		t.Errorf("%s %s: %d of %d failed calls have the cause %q", m.namespace, m.job, told, failed, m.cause)
	}
}

// run starts the service for a Seam that fails in that way.
func (m *monitored) run(t *testing.T, s *seam, fail func(), flags ...string) {
	t.Helper()
	m.fail = fail
	m.service = startService(t, s, append(flags, "--drain-delay", "0s")...)
	m.clients = newCaller(t, m.service.Addresses, 1)
}

// withFault injects a fault into Seam. The zero fault is none.
func withFault(fault sandbox.Fault) func(t *testing.T, m *monitored) {
	return func(t *testing.T, m *monitored) {
		t.Helper()
		s := startSeam(t)
		m.run(t, s, func() { s.inject(t, fault) })
	}
}

// withSeamGone ends Seam.
func withSeamGone(t *testing.T, m *monitored) {
	t.Helper()
	s := startSeam(t)
	m.run(t, s, s.Kill)
}

// withRefusedCredential has Seam refuse the service credential, which an authenticated caller uses.
func withRefusedCredential(t *testing.T, m *monitored) {
	t.Helper()
	token := sha256.Sum256([]byte(sandbox.APIKey))
	callers := fmt.Sprintf("callers: [{name: shop, token_sha256: [%x], rpcs: ['*']}]", token)
	s := startSeam(t)
	m.run(t, s, func() {
		s.inject(t, sandbox.Fault{
			Status: http.StatusUnauthorized, Body: `{"error":{"type":"unauthorized","message":"Unauthorized"},"ok":false}`,
		})
	}, "--seam-api-key-file", writeFile(t, []byte(sandbox.APIKey)), "--callers-file", writeFile(t, []byte(callers)))
}

// withSeamsCertificateExpired has Seam end all connections and from then on have a certificate that has expired.
func withSeamsCertificateExpired(t *testing.T, m *monitored) {
	t.Helper()
	authority := servicetest.NewAuthority(t, "Seam's authority")
	var certificate atomic.Pointer[tls.Certificate]
	issue := func() {
		pair := authority.Pair(t, "Seam")
		certificate.Store(&pair)
	}
	issue()
	server := httptest.NewUnstartedServer(sandbox.New(sandbox.Options{}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A line for each handshake that the service ends.
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*certificate.Load()}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	m.run(t, &seam{flags: []string{"--seam-endpoint", server.URL, "--seam-ca-file", writeFile(t, authority.PEM)}}, func() {
		authority.Lifetime = -time.Minute
		issue()
		server.CloseClientConnections()
	})
}

// withCertificateExpired has the certificate of both faces expire about when the others fail.
func withCertificateExpired(t *testing.T, m *monitored) {
	t.Helper()
	authority := servicetest.NewAuthority(t, "the service's authority")
	authority.Lifetime = history + 15*time.Second
	certificate, key := authority.Issue(t, "the service")
	m.run(t, startSeam(t), func() {}, "--max-connection-age", "30s",
		"--tls-cert-file", writeFile(t, certificate), "--tls-key-file", writeFile(t, key))
	config := authority.Client(t, nil)
	m.clients = newCaller(t, m.service.Addresses, 1, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	m.clients.http.Transport = &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	m.clients.base = strings.Replace(m.clients.base, "http:", "https:", 1)
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
