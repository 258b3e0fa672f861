package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestCertificateNames shows whose a certificate with several names is.
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
		"one of them and a stranger":  {nil, []string{"stranger.example.org", "both.example.org"}, "both"},
		"names of two callers":        {[]string{"spiffe://example.org/both"}, []string{"other.example.org"}, ""},
		"one of them and another's":   {nil, []string{"both.example.org", "other.example.org"}, ""},
		"another kind of URI":         {[]string{"https://example.org", "spiffe://example.org/both"}, nil, "both"},
		"two SPIFFE ids":              {[]string{"spiffe://example.org/both", "spiffe://example.org/x"}, nil, ""},
		"two SPIFFE ids, in capitals": {[]string{"spiffe://example.org/both", "SPIFFE://example.org/x"}, nil, ""},
		"two SPIFFE ids and a name":   {[]string{"spiffe://example.org/x", "spiffe://example.org/y"}, []string{"both.example.org"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := &x509.Certificate{DNSNames: test.names}
			for _, uri := range test.uris {
				parsed, err := url.Parse(uri)
				if err != nil {
					t.Fatal(err)
				}
				leaf.URIs = append(leaf.URIs, parsed)
			}
			got := call(t, newCallers(t, file), nil, withTLS(tls.ConnectionState{
				PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}},
			}))
			if got.caller != test.caller || (test.caller == "" && got.code() != codes.Unauthenticated) {
				t.Errorf("caller %q, code %s (%s)", got.caller, got.code(), got.cause())
			}
		})
	}
}
