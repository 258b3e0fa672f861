package server

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

func TestClientCertificates(t *testing.T) {
	ours, callers, untrusted, dir := seamtest.NewAuthority(t, "ours"), seamtest.NewAuthority(t, "callers"), seamtest.NewAuthority(t, "untrusted"), t.TempDir()
	writePair(t, dir, ours)
	writeFiles(t, dir, map[string][]byte{"ca.crt": callers.PEM})
	r := startTLS(t, tlsConfig(dir))
	r.onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
		if got, err := on(ours.Client(t, callers))(); err != nil || got.caller != "caller" {
			t.Errorf("with a certificate: the caller is %q, %v", got.caller, err)
		}
		if got, err := on(ours.Client(t, nil))(); err != nil || got.caller != "" {
			t.Errorf("without a certificate: the caller is %q, %v", got.caller, err)
		}
		// Over TLS 1.3 the client has sent its request when the refusal comes, so that its error may be about that.
		const why = "certificate signed by unknown authority"
		before := strings.Count(r.logged(), why)
		if _, err := on(ours.Client(t, untrusted))(); err == nil {
			t.Error("a certificate of another authority is accepted")
		}
		seamtest.Eventually(t, "the log says why", func() bool { return strings.Count(r.logged(), why) > before })
	})
}

func TestClientCertificatesAreNotAskedForWithoutAuthorities(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	r := startTLS(t, tlsConfig(dir))
	r.onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
		if got, err := on(ours.Client(t, ours))(); err != nil || got.caller != "" {
			t.Errorf("the caller is %q, %v", got.caller, err)
		}
	})
}

// TestNoResumptionPastChangedAuthorities has a client that keeps its sessions. Where certificates decide, there are
// none to resume; where they do not, there are.
func TestNoResumptionPastChangedAuthorities(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ours, callers, others, dir := seamtest.NewAuthority(t, "ours"), seamtest.NewAuthority(t, "callers"), seamtest.NewAuthority(t, "others"), t.TempDir()
			writePair(t, dir, ours)
			cfg := tlsConfig(dir)
			cfg.TLSMinVersion = tls.VersionTLS12
			twice := func(r *tlsHarness, client *tls.Config) *tls.ConnectionState {
				t.Helper()
				client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(10)
				if _, err := r.onHTTP(client)(); err != nil {
					t.Fatal(err)
				}
				got, err := r.onHTTP(client)()
				if err != nil {
					t.Fatal(err)
				}
				return got.state
			}
			if !twice(startTLS(t, cfg), ours.Client(t, nil)).DidResume {
				t.Error("a client without a certificate could not resume")
			}

			writeFiles(t, dir, map[string][]byte{"ca.crt": callers.PEM})
			cfg.TLSClientCAFile = filepath.Join(dir, "ca.crt")
			r := startTLS(t, cfg)
			client := ours.Client(t, callers)
			if twice(r, client).DidResume {
				t.Error("a client with a certificate resumed")
			}
			writeFiles(t, dir, map[string][]byte{"ca.crt": others.PEM})
			seamtest.Eventually(t, "the old authority is refused", func() bool {
				_, err := r.onHTTP(client)()
				return err != nil && strings.Contains(r.logged(), "certificate signed by unknown authority")
			})
			if got, err := r.onHTTP(ours.Client(t, others))(); err != nil || got.caller != "caller" {
				t.Errorf("the new authority: the caller is %q, %v", got.caller, err)
			}
		})
	}
}

// testChange has the certificate of one authority replaced by that of another. A client that trusts the first alone can
// go on only over the connection it has.
func testChange(t *testing.T, dir string, ours *seamtest.Authority, change func(next *seamtest.Authority)) {
	t.Helper()
	next := seamtest.NewAuthority(t, "next")
	r := startTLS(t, tlsConfig(dir))
	old := map[string]faceCall{"REST": r.onHTTP(ours.Client(t, nil)), "gRPC": r.onGRPC(ours.Client(t, nil))}
	for face, call := range old {
		if _, err := call(); err != nil {
			t.Fatalf("%s: %v", face, err)
		}
	}
	change(next)
	r.onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
		seamtest.Eventually(t, "the new certificate is used", func() bool {
			_, err := on(next.Client(t, nil))()
			return err == nil
		})
		_, err := on(ours.Client(t, nil))()
		refused(t, err, "unknown authority")
	})
	for face, call := range old {
		if _, err := call(); err != nil {
			t.Errorf("%s: the connection with the old certificate broke: %v", face, err)
		}
	}
}

func TestChangedCertificate(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	writePair(t, dir, ours)
	testChange(t, dir, ours, func(next *seamtest.Authority) { writePair(t, dir, next) })
}

// TestChangedCertificateByKubernetes replaces the one link by way of which Kubernetes mounts a secret, and deletes the
// folder that it led to.
func TestChangedCertificateByKubernetes(t *testing.T) {
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	mount := func(folder string, signer *seamtest.Authority) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		writePair(t, filepath.Join(dir, folder), signer)
		if err := os.Symlink(folder, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("..1", ours)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	testChange(t, dir, ours, func(next *seamtest.Authority) {
		mount("..2", next)
		if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
			t.Fatal(err)
		}
	})
}

// invalidFiles make the files invalid, by the error.
func invalidFiles(t *testing.T) map[string]func(dir string) (key []byte) {
	t.Helper()
	strange := func(dir, name string) []byte {
		_, key := seamtest.NewAuthority(t, "strange").Issue(t, "server")
		writeFiles(t, dir, map[string][]byte{name: key})
		return key
	}
	const pair, bundle = "--tls-cert-file and --tls-key-file: ", "--tls-client-ca-file: "
	return map[string]func(string) []byte{
		pair + "tls: private key does not match public key": func(dir string) []byte { return strange(dir, "tls.key") },
		pair + "tls: failed to find certificate PEM data":   func(dir string) []byte { return strange(dir, "tls.crt") },
		pair + "tls: failed to parse private key": func(dir string) []byte {
			key := []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n")
			writeFiles(t, dir, map[string][]byte{"tls.key": key})
			return key
		},
		pair + "tls: failed to find any PEM data in key input": func(dir string) []byte {
			key, err := os.ReadFile(filepath.Join(dir, "tls.key"))
			if err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string][]byte{"tls.key": key[:len(key)/2]})
			return key
		},
		pair + "the certificate in DIR/tls.crt expired on 20": func(dir string) []byte {
			authority := seamtest.NewAuthority(t, "ours")
			authority.Lifetime = -time.Second
			return writePair(t, dir, authority)
		},
		pair + "open DIR/tls.key: no such file": func(dir string) []byte {
			remove(t, filepath.Join(dir, "tls.key"))
			return nil
		},
		bundle + "open DIR/ca.crt: no such file": func(dir string) []byte {
			remove(t, filepath.Join(dir, "ca.crt"))
			return nil
		},
		bundle + "DIR/ca.crt: PEM block 1 is no certificate": func(dir string) []byte { return strange(dir, "ca.crt") },
		bundle + "DIR/ca.crt: there is no PEM certificate": func(dir string) []byte {
			writeFiles(t, dir, map[string][]byte{"ca.crt": nil})
			return nil
		},
	}
}

// goodFiles returns a folder of valid files.
func goodFiles(t *testing.T) (dir string, ours *seamtest.Authority, cfg config.Config) {
	t.Helper()
	dir, ours = t.TempDir(), seamtest.NewAuthority(t, "ours")
	writePair(t, dir, ours)
	writeFiles(t, dir, map[string][]byte{"ca.crt": ours.PEM})
	return dir, ours, tlsConfig(dir)
}

func TestInvalidFilesStopTheStart(t *testing.T) {
	for want, spoil := range invalidFiles(t) {
		t.Run(want, func(t *testing.T) {
			dir, _, cfg := goodFiles(t)
			key := spoil(dir)
			_, err := newServerCertificates(cfg, nil)
			if err == nil || !strings.HasPrefix(err.Error(), strings.ReplaceAll(want, "DIR", dir)) {
				t.Fatalf("got %v, want %s", err, want)
			}
			noKeys(t, err.Error(), key)
		})
	}
}

func TestInvalidNewFilesKeepTheOld(t *testing.T) {
	t.Parallel()
	for want, spoil := range invalidFiles(t) {
		t.Run(want, func(t *testing.T) {
			dir, ours, cfg := goodFiles(t)
			r := startTLS(t, cfg)
			key := spoil(dir)
			_, cause, _ := strings.Cut(strings.ReplaceAll(want, "DIR", dir), ": ")
			seamtest.Eventually(t, "it is logged and counted", func() bool {
				return r.failures.n.Load() > 1 && strings.Contains(r.logged(), cause)
			})
			r.onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
				if got, err := on(ours.Client(t, ours))(); err != nil || got.caller != "caller" {
					t.Errorf("the caller is %q, %v", got.caller, err)
				}
			})
			noKeys(t, r.logged(), key)
			// Valid files are applied again.
			writeFiles(t, dir, map[string][]byte{"ca.crt": bytes.Repeat(ours.PEM, 2)})
			writePair(t, dir, ours)
			seamtest.Eventually(t, "both are reloaded", func() bool {
				return strings.Contains(r.logged(), `msg=reloaded what="--tls-cert-file and --tls-key-file" changed=true`) &&
					strings.Contains(r.logged(), "msg=reloaded what=--tls-client-ca-file changed=true")
			})
		})
	}
}

// TestCertificateExpiresInUse shows that expiry does not take down a service that runs. The client's clock stands still.
func TestCertificateExpiresInUse(t *testing.T) {
	t.Parallel() // A certificate of two seconds expires.
	ours, dir := seamtest.NewAuthority(t, "ours"), t.TempDir()
	ours.Lifetime = 2 * time.Second
	writePair(t, dir, ours)
	r := startTLS(t, tlsConfig(dir))
	client, started := ours.Client(t, nil), time.Now()
	client.Time = func() time.Time { return started }
	time.Sleep(ours.Lifetime + time.Second)
	r.onBoth(t, func(t *testing.T, on func(*tls.Config) faceCall) {
		if _, err := on(client)(); err != nil {
			t.Error(err)
		}
	})
	if n := r.failures.n.Load(); n != 0 {
		t.Errorf("%d reloads failed; log:\n%s", n, r.logged())
	}
}
