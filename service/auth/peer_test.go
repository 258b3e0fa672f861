package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"sync"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// mesh is the authority whose certificates newCallers trusts, and a pool with it.
var mesh struct {
	sync.Once

	authority *servicetest.Authority
	pool      *x509.CertPool
}

func meshAuthority(t testing.TB) *servicetest.Authority {
	t.Helper()
	mesh.Do(func() {
		mesh.authority = servicetest.NewAuthority(t, "mesh")
		mesh.pool = mesh.authority.Pool()
	})
	return mesh.authority
}

// client is the template of a client's certificate.
func client(uris, names []string) *x509.Certificate {
	template := &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, text := range uris {
		parsed, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	return template
}

func chain(certificates ...*x509.Certificate) []*x509.Certificate { return certificates }

// connection is a peer whose certificates the handshake verified.
func connection(presented ...*x509.Certificate) *peer.Peer {
	return withTLS(tls.ConnectionState{PeerCertificates: presented, VerifiedChains: [][]*x509.Certificate{presented}})
}

func withTLS(state tls.ConnectionState) *peer.Peer {
	return &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: credentials.TLSInfo{State: state}}
}

// verified is a peer with a certificate of mesh, for either name, that the handshake verified.
func verified(t *testing.T, spiffe, dns string) *peer.Peer {
	t.Helper()
	return connection(named(t, spiffe, dns))
}

// unverified is a peer whose certificate the handshake did not verify.
func unverified(t *testing.T, spiffe, dns string) *peer.Peer {
	t.Helper()
	return withTLS(tls.ConnectionState{PeerCertificates: chain(named(t, spiffe, dns))})
}

func named(t *testing.T, spiffe, dns string) *x509.Certificate {
	t.Helper()
	var uris, names []string
	if spiffe != "" {
		uris = []string{spiffe}
	}
	if dns != "" {
		names = []string{dns}
	}
	return meshAuthority(t).Sign(t, client(uris, names))
}

func commonName(t *testing.T, name string) *peer.Peer {
	t.Helper()
	template := client(nil, nil)
	template.Subject = pkix.Name{CommonName: name}
	return connection(meshAuthority(t).Sign(t, template))
}
