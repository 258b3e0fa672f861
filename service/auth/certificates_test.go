package auth_test

import (
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestCertificateNames shows which caller a certificate with several names is that of.
func TestCertificateNames(t *testing.T) {
	const file = `
callers:
  - {name: both, spiffe_id: "spiffe://example.org/both", dns_name: both.example.org, rpcs: ["*"]}
  - {name: other, dns_name: other.example.org, rpcs: ["*"]}
`
	for name, test := range map[string]struct {
		uris, names []string
		caller      string
	}{
		"both names of one caller":    {[]string{"spiffe://example.org/both"}, []string{"both.example.org"}, "both"},
		"one of them twice":           {nil, []string{"both.example.org", "both.example.org"}, "both"},
		"one of them and an unknown":  {nil, []string{"unknown.example.org", "both.example.org"}, "both"},
		"names of two callers":        {[]string{"spiffe://example.org/both"}, []string{"other.example.org"}, ""},
		"one of them and another's":   {nil, []string{"both.example.org", "other.example.org"}, ""},
		"another kind of URI":         {[]string{"https://example.org", "spiffe://example.org/both"}, nil, "both"},
		"two SPIFFE ids":              {[]string{"spiffe://example.org/both", "spiffe://example.org/x"}, nil, ""},
		"two SPIFFE ids, in capitals": {[]string{"spiffe://example.org/both", "SPIFFE://example.org/x"}, nil, ""},
		"two SPIFFE ids and a name":   {[]string{"spiffe://example.org/x", "spiffe://example.org/y"}, []string{"both.example.org"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := meshAuthority(t).Sign(t, client(test.uris, test.names))
			got := grant(t, newCallers(t, file), nil, connection(leaf))
			if got.caller != test.caller || (test.caller == "" && got.code() != codes.Unauthenticated) {
				t.Errorf("caller %q, code %s (%s)", got.caller, got.code(), got.cause())
			}
		})
	}
}

// TestCertificatesOnOpenConnections shows that a certificate is valid for as long as it would be in a new handshake,
// and no longer because its connection is still open.
func TestCertificatesOnOpenConnections(t *testing.T) {
	const file = `callers: [{name: shop, dns_name: shop.example.org, rpcs: ["*"]}]`
	now := time.Now()
	shop := func(signer *servicetest.Authority, lifetime time.Duration, use x509.ExtKeyUsage) *x509.Certificate {
		return signer.Sign(t, &x509.Certificate{
			DNSNames: []string{"shop.example.org"}, NotAfter: now.Add(lifetime), ExtKeyUsage: []x509.ExtKeyUsage{use},
		})
	}
	leaf := func(signer *servicetest.Authority) *x509.Certificate {
		return shop(signer, time.Hour, x509.ExtKeyUsageClientAuth)
	}
	root, other := servicetest.NewAuthority(t, "root"), servicetest.NewAuthority(t, "other")
	between := root.Intermediate(t, "between")
	short := root.Intermediate(t, "short", func(c *x509.Certificate) { c.NotAfter = now.Add(time.Minute) })
	late := servicetest.NewAuthority(t, "late", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })
	crossed, lateCrossed := other.CrossSign(t, between), late.CrossSign(t, between)
	trusted, others, trustedLate := root.Pool(), other.Pool(), late.Pool()
	minute := shop(root, time.Minute, x509.ExtKeyUsageClientAuth)

	for name, test := range map[string]struct {
		chain []*x509.Certificate
		// before and after are the authorities of the first call and of the second, which comes later by a while.
		before, after *x509.CertPool
		while         time.Duration
		good          bool
	}{
		"all as before":              {chain(leaf(root)), trusted, trusted, time.Minute, true},
		"at the last moment":         {chain(minute), trusted, trusted, 59 * time.Second, true},
		"expired":                    {chain(minute), trusted, trusted, 61 * time.Second, false},
		"intermediate":               {chain(leaf(between), between.Certificate), trusted, trusted, time.Minute, true},
		"intermediate expired":       {chain(leaf(short), short.Certificate), trusted, trusted, 61 * time.Second, false},
		"authority expired":          {chain(shop(root, 3*time.Hour, x509.ExtKeyUsageClientAuth)), trusted, trusted, 2 * time.Hour, false},
		"another authority":          {chain(leaf(root)), trusted, others, 0, false},
		"no authorities":             {chain(leaf(root)), trusted, nil, 0, false},
		"the same in another bundle": {chain(leaf(root)), trusted, root.Pool(), 0, true},
		"cross-signed":               {chain(leaf(between), between.Certificate, crossed.Certificate), trusted, others, 0, true},
		"cross-signed, not sent":     {chain(leaf(between), between.Certificate), trusted, others, 0, false},
		"a server's":                 {chain(shop(root, time.Hour, x509.ExtKeyUsageServerAuth)), nil, trusted, 0, false},
		"authority not valid yet":    {chain(leaf(between), between.Certificate, lateCrossed.Certificate), trusted, trustedLate, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := &clock{now: now}
			authorities := test.before
			callers := callersTrusting(t, file, func() *x509.CertPool { return authorities }, at.Now)
			from := connection(test.chain...)
			for range 2 {
				if got := grant(t, callers, nil, from); got.served != (test.before != nil) {
					t.Fatalf("the first calls: served %t (%s)", got.served, got.cause())
				}
			}
			authorities = test.after
			at.advance(test.while)
			for range 2 {
				got := grant(t, callers, nil, from)
				if got.served != test.good || (!test.good && got.code() != codes.Unauthenticated) {
					t.Errorf("served: %t, code %s (%s)", got.served, got.code(), got.cause())
				}
			}
			switch {
			case test.after == trustedLate:
				at.advance(61 * time.Second) // It has become valid in the same bundle.
			case test.while == 0:
				authorities = test.before
			default:
				return
			}
			if got := grant(t, callers, nil, from); got.served != (test.before != nil) {
				t.Errorf("afterwards: served %t (%s)", got.served, got.cause())
			}
		})
	}
}
