package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	trusting    *x509.CertPool
}

// mesh is the authority whose certificates newCallers trusts.
var mesh = sync.OnceValue(func() *authority { return newAuthority(&x509.Certificate{}) })

// newAuthority returns one that signs itself.
func newAuthority(template *x509.Certificate) *authority {
	return (*authority)(nil).authority(template)
}

// authority returns one below this one.
func (a *authority) authority(template *x509.Certificate) *authority {
	return a.authorityWithKey(template, &authority{key: newKey(), certificate: template})
}

// authorityWithKey returns one below this one that is the same as another one but for who signed it.
func (a *authority) authorityWithKey(template *x509.Certificate, same *authority) *authority {
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.Subject = same.certificate.Subject
	if template.Subject.CommonName == "" {
		template.Subject = pkix.Name{CommonName: newSerial().String()}
	}
	if a == nil {
		a = &authority{key: same.key, certificate: template}
	}
	made := &authority{certificate: a.sign(template, same.key), key: same.key}
	return made.again()
}

// again returns the same authority in a bundle of its own.
func (a *authority) again() *authority {
	trusting := x509.NewCertPool()
	trusting.AddCert(a.certificate)
	return &authority{a.certificate, a.key, trusting}
}

// pool is the bundle with the authority, the same one each time; none for a nil authority.
func (a *authority) pool() *x509.CertPool {
	if a == nil {
		return nil
	}
	return a.trusting
}

// issue returns a certificate, a client's if it does not say.
func (a *authority) issue(template *x509.Certificate) *x509.Certificate {
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return a.sign(template, newKey())
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	template.SerialNumber = newSerial()
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newSerial() *big.Int {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err)
	}
	return serial
}

func parseURIs(texts ...string) []*url.URL {
	var all []*url.URL
	for _, text := range texts {
		parsed, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		all = append(all, parsed)
	}
	return all
}

func chain(certificates ...*x509.Certificate) []*x509.Certificate { return certificates }

// connection is a peer whose certificates the handshake verified.
func connection(presented ...*x509.Certificate) *peer.Peer {
	return withTLS(tls.ConnectionState{PeerCertificates: presented, VerifiedChains: [][]*x509.Certificate{presented}})
}

func withTLS(state tls.ConnectionState) *peer.Peer {
	return &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: credentials.TLSInfo{State: state}}
}

func certificate(spiffe, dns string) *x509.Certificate {
	template := &x509.Certificate{}
	if spiffe != "" {
		template.URIs = parseURIs(spiffe)
	}
	if dns != "" {
		template.DNSNames = []string{dns}
	}
	return mesh().issue(template)
}

// verified is a peer whose certificate the handshake verified.
func verified(spiffe, dns string) *peer.Peer { return connection(certificate(spiffe, dns)) }

// unverified is a peer whose certificate the handshake did not verify.
func unverified(spiffe, dns string) *peer.Peer {
	return withTLS(tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate(spiffe, dns)}})
}

func commonName(name string) *peer.Peer {
	return connection(mesh().issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}}))
}
