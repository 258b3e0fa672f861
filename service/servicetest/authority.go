package servicetest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// Authority signs certificates for a test.
type Authority struct {
	Certificate *x509.Certificate
	// PEM is the certificate as it stands in a file.
	PEM []byte
	// Lifetime is that of what it signs from now on, an hour if it does not say.
	Lifetime time.Duration

	key *ecdsa.PrivateKey
}

// NewAuthority returns a new authority, which no pool has. The changes are made to its certificate before it is signed.
func NewAuthority(t testing.TB, name string, changes ...func(*x509.Certificate)) *Authority {
	t.Helper()
	return newAuthority(t, nil, name, newKey(t), changes)
}

// Intermediate returns an authority whose certificate this one has signed.
func (a *Authority) Intermediate(t testing.TB, name string, changes ...func(*x509.Certificate)) *Authority {
	t.Helper()
	return newAuthority(t, a, name, newKey(t), changes)
}

// CrossSign returns another authority, with its name and its key, whose certificate this one has signed.
func (a *Authority) CrossSign(t testing.TB, other *Authority) *Authority {
	t.Helper()
	return newAuthority(t, a, other.Certificate.Subject.CommonName, other.key, nil)
}

// newAuthority returns an authority below a parent, or one that signs itself.
func newAuthority(
	t testing.TB, parent *Authority, name string, key *ecdsa.PrivateKey, changes []func(*x509.Certificate),
) *Authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, change := range changes {
		change(template)
	}
	if parent == nil {
		parent = &Authority{Certificate: template, key: key}
	}
	certificate := parent.signKey(t, template, key)
	return &Authority{Certificate: certificate, PEM: encode("CERTIFICATE", certificate.Raw), key: key}
}

// Sign completes and signs a certificate.
func (a *Authority) Sign(t testing.TB, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	return a.signKey(t, template, newKey(t))
}

func (a *Authority) signKey(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	var err error
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(cmp.Or(a.Lifetime, time.Hour))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Issue returns a certificate for name, a server's or a client's, as PEM.
func (a *Authority) Issue(t testing.TB, name string) (certificatePEM, keyPEM []byte) {
	t.Helper()
	key := newKey(t)
	certificate := a.signKey(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"shop.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", certificate.Raw), encode("PRIVATE KEY", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Pair is Issue for a tls.Config.
func (a *Authority) Pair(t testing.TB, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Pool returns a new pool with the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// Client returns the configuration of a client that trusts the authority. It gives the certificate that client has
// issued to it, if any, also to a server that did not name client as one it trusts.
func (a *Authority) Client(t testing.TB, client *Authority) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: a.Pool()}
	if client != nil {
		pair := client.Pair(t, "caller")
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}
