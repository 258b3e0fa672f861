package server

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

func TestLoadCAs(t *testing.T) {
	one, two := servicetest.NewAuthority(t, "one"), servicetest.NewAuthority(t, "two")
	path := filepath.Join(t.TempDir(), "ca.pem")
	bundle := bytes.Join([][]byte{[]byte("# ours\n"), one.PEM, []byte("# theirs\n"), two.PEM}, nil)
	if err := os.WriteFile(path, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loadCAs(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if got.Equal(want) {
		t.Error("the file's authorities are not in the pool")
	}
	want.AddCert(one.Certificate)
	want.AddCert(two.Certificate)
	if !got.Equal(want) {
		t.Error("the pool is not the system's authorities and the file's")
	}
}

func TestLoadCAsFails(t *testing.T) {
	good := servicetest.NewAuthority(t, "one").PEM
	const secret = "c2VjcmV0c2VjcmV0"
	key := []byte("-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n")
	strange := []byte("-----BEGIN CERTIFICATE-----\n" + secret + "\n-----END CERTIFICATE-----\n")
	for name, test := range map[string]struct {
		bundle []byte
		want   string
	}{
		"empty":          {nil, "no PEM certificate"},
		"no PEM":         {[]byte(secret), "no PEM certificate"},
		"cut off":        {bytes.Join([][]byte{good, good[:len(good)/2]}, nil), "malformed or truncated"},
		"cut off first":  {bytes.Join([][]byte{good[:len(good)/2], good}, []byte("\n")), "malformed or truncated"},
		"a key":          {bytes.Join([][]byte{good, key}, nil), "PEM block 2 is no certificate"},
		"no certificate": {bytes.Join([][]byte{good, strange}, nil), "certificate 2: x509: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(path, test.bundle, 0o600); err != nil {
				t.Fatal(err)
			}
			pool, err := loadCAs(path)
			if err == nil || pool != nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if !strings.HasPrefix(err.Error(), path+": ") || strings.Contains(err.Error(), secret[:8]) {
				t.Errorf("%q does not name the file, or quotes it", err)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none.pem")
	if _, err := loadCAs(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing file gets %v", err)
	}
}
