package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestChangedCertificate has the certificate of one authority replaced by that of another. A client that trusts the
// first alone can go on only over the connection that it has. That also links of Kubernetes are followed is
// TestSymlinkSwap of service/reload.
func TestChangedCertificate(t *testing.T) {
	t.Parallel() // A new file is in use after two polls, which is up to ten seconds.
	h, ours, dir := startWithPair(t)
	old := map[string]tlsCall{"REST": h.onHTTP(ours.Client(t, nil)), "gRPC": h.onGRPC(ours.Client(t, nil))}
	for _, call := range old {
		call.want(t, http.StatusOK)
	}
	next, before := servicetest.NewAuthority(t, "next"), h.certificates.certificate.Load()
	writePair(t, dir, next)
	seamtest.Eventually(t, "the new certificate is read", func() bool {
		return h.certificates.certificate.Load() != before
	})
	h.onBoth(t, func(t *testing.T, on func(*tls.Config) tlsCall) {
		on(next.Client(t, nil)).want(t, http.StatusOK)
		_, err := on(ours.Client(t, nil))()
		refused(t, err, "unknown authority")
	})
	for face, call := range old {
		if got, err := call(); err != nil || got.connections != 1 {
			t.Errorf("%s: the connection with the old certificate broke: %d connections, %v", face, got.connections, err)
		}
	}
}

// invalidFiles make the files invalid, by the error.
func invalidFiles() map[string]func(t *testing.T, dir string) (key []byte) {
	strange := func(name string) func(*testing.T, string) []byte {
		return func(t *testing.T, dir string) []byte {
			t.Helper()
			_, key := servicetest.NewAuthority(t, "strange").Issue(t, "server")
			writeFiles(t, dir, map[string][]byte{name: key})
			return key
		}
	}
	remove := func(name string) func(*testing.T, string) []byte {
		return func(t *testing.T, dir string) []byte {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			return nil
		}
	}
	const pair, bundle = "--tls-cert-file and --tls-key-file: ", "--tls-client-ca-file: "
	return map[string]func(*testing.T, string) []byte{
		pair + "tls: private key does not match public key": strange("tls.key"),
		pair + "tls: failed to find certificate PEM data":   strange("tls.crt"),
		pair + "tls: failed to parse private key": func(t *testing.T, dir string) []byte {
			t.Helper()
			key := []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n")
			writeFiles(t, dir, map[string][]byte{"tls.key": key})
			return key
		},
		pair + "the key is encrypted: decrypt it": func(t *testing.T, dir string) []byte {
			t.Helper()
			key := []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n")
			writeFiles(t, dir, map[string][]byte{"tls.key": key})
			return key
		},
		pair + "the certificate in DIR/tls.crt expired on ": func(t *testing.T, dir string) []byte {
			t.Helper()
			authority := servicetest.NewAuthority(t, "ours")
			authority.Lifetime = -time.Second
			return writePair(t, dir, authority)
		},
		pair + "open DIR/tls.key: no such file":              remove("tls.key"),
		bundle + "open DIR/ca.crt: no such file":             remove("ca.crt"),
		bundle + "DIR/ca.crt: PEM block 1 is no certificate": strange("ca.crt"),
	}
}

func TestInvalidFilesStopTheStart(t *testing.T) {
	for want, spoil := range invalidFiles() {
		t.Run(want, func(t *testing.T) {
			dir, _, cfg := goodFiles(t)
			key := spoil(t, dir)
			err := (&Server{cfg: cfg, metrics: &metrics{}}).readCertificates()
			if err == nil || !strings.HasPrefix(err.Error(), strings.ReplaceAll(want, "DIR", dir)) {
				t.Fatalf("got %v, want %s", err, want)
			}
			noKeys(t, err.Error(), key)
		})
	}
}

// certificatesInBubble are the certificates of a service, whose files are polled under a fake clock.
type certificatesInBubble struct {
	*serverCertificates

	log      LogText
	failures failureCounter
}

type failureCounter struct {
	prometheus.Counter

	n int
}

func (c *failureCounter) Inc() { c.n++ }

func pollInBubble(t *testing.T, cfg config.Config, test func(c *certificatesInBubble)) {
	t.Helper()
	c := &certificatesInBubble{}
	s := &Server{cfg: cfg, metrics: &metrics{reloadFailures: &c.failures}}
	if err := s.readCertificates(); err != nil {
		t.Fatal(err)
	}
	c.serverCertificates = s.certificates
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, files := range s.files {
		go files.Poll(ctx, pollInterval, slog.New(slog.NewTextHandler(&c.log, nil)))
	}
	test(c)
}

// wait lets time pass, and the polls in it.
func (c *certificatesInBubble) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestInvalidNewFilesKeepTheOld(t *testing.T) {
	for want, spoil := range invalidFiles() {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, ours, cfg := goodFiles(t)
				pollInBubble(t, cfg, func(c *certificatesInBubble) {
					certificate, authorities := c.certificate.Load(), c.clientCAs.Load()
					key := spoil(t, dir)
					c.wait(time.Minute)
					_, cause, _ := strings.Cut(strings.ReplaceAll(want, "DIR", dir), ": ")
					if c.failures.n < 2 || !strings.Contains(c.log.String(), cause) {
						t.Errorf("%d failures are counted, and the log has %s", c.failures.n, c.log.String())
					}
					if c.certificate.Load() != certificate || c.clientCAs.Load() != authorities {
						t.Error("the old ones are not kept")
					}
					noKeys(t, c.log.String(), key)
					// Valid files are applied again.
					writeFiles(t, dir, map[string][]byte{"ca.crt": bytes.Repeat(ours.PEM, 2)})
					writePair(t, dir, ours)
					c.wait(10 * time.Second)
					if c.certificate.Load() == certificate || c.clientCAs.Load() == authorities {
						t.Error("the new ones are not in use within ten seconds")
					}
				})
			})
		})
	}
}

// TestCertificateExpiresInUse shows that a certificate which expires stays in use until it is renewed.
func TestCertificateExpiresInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, ours, cfg := goodFiles(t)
		pollInBubble(t, cfg, func(c *certificatesInBubble) {
			certificate := c.certificate.Load()
			c.wait(time.Until(ours.Certificate.NotAfter) + time.Hour)
			if c.certificate.Load() != certificate || c.failures.n != 0 {
				t.Errorf("%d reloads failed; log:\n%s", c.failures.n, c.log.String())
			}
			writePair(t, dir, ours)
			c.wait(10 * time.Second)
			if c.certificate.Load() == certificate {
				t.Error("the renewed one is not in use")
			}
		})
	})
}

// noKeys fails if the text has anything of a key.
func noKeys(t *testing.T, text string, keys ...[]byte) {
	t.Helper()
	for _, key := range keys {
		for line := range strings.Lines(string(key)) {
			if strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("key material in %q", text)
			}
		}
	}
}
