package auth_test

import (
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
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
			leaf := mesh().issue(&x509.Certificate{DNSNames: test.names, URIs: parseURIs(test.uris...)})
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
	lasting := func(d time.Duration) *x509.Certificate { return &x509.Certificate{NotAfter: now.Add(d)} }
	shop := func(d time.Duration) *x509.Certificate {
		leaf := lasting(d)
		leaf.DNSNames = []string{"shop.example.org"}
		return leaf
	}
	root, other := newAuthority(lasting(time.Hour)), newAuthority(lasting(time.Hour))
	between, short := root.authority(lasting(time.Hour)), root.authority(lasting(time.Minute))
	crossed := other.authorityWithKey(lasting(time.Hour), between)
	late := newAuthority(&x509.Certificate{NotBefore: now.Add(time.Minute), NotAfter: now.Add(time.Hour)})
	lateCrossed := late.authorityWithKey(lasting(time.Hour), between)
	server := shop(time.Hour)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

	for name, test := range map[string]struct {
		chain []*x509.Certificate
		// before and after are the authorities of the first call and of the second, which comes later by a while.
		before, after *authority
		while         time.Duration
		good          bool
	}{
		"all as before":              {chain(root.issue(shop(time.Hour))), root, root, time.Minute, true},
		"at the last moment":         {chain(root.issue(shop(time.Minute))), root, root, 59 * time.Second, true},
		"expired":                    {chain(root.issue(shop(time.Minute))), root, root, 61 * time.Second, false},
		"intermediate":               {chain(between.issue(shop(time.Hour)), between.certificate), root, root, time.Minute, true},
		"intermediate expired":       {chain(short.issue(shop(time.Hour)), short.certificate), root, root, 61 * time.Second, false},
		"authority expired":          {chain(root.issue(shop(3 * time.Hour))), root, root, 2 * time.Hour, false},
		"another authority":          {chain(root.issue(shop(time.Hour))), root, other, 0, false},
		"no authorities":             {chain(root.issue(shop(time.Hour))), root, nil, 0, false},
		"the same in another bundle": {chain(root.issue(shop(time.Hour))), root, root.again(), 0, true},
		"cross-signed":               {chain(between.issue(shop(time.Hour)), between.certificate, crossed.certificate), root, other, 0, true},
		"cross-signed, not sent":     {chain(between.issue(shop(time.Hour)), between.certificate), root, other, 0, false},
		"a server's":                 {chain(root.issue(server)), nil, root, 0, false},
		"authority not valid yet":    {chain(between.issue(shop(time.Hour)), between.certificate, lateCrossed.certificate), root, late, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := &clock{now: now}
			authorities := test.before
			callers := callersTrusting(t, file, func() *x509.CertPool { return authorities.pool() }, at.Now)
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
			case test.after == late:
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
