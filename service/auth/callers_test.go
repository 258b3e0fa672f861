package auth_test

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
)

const (
	token    = "css_AAAAAAAAAAAAAAAAAAAAAAAAAA"
	newToken = "css_BBBBBBBBBBBBBBBBBBBBBBBBBB"
)

// callersFile has a caller for each kind of proof.
func callersFile() string {
	return `
callers:
  - name: frontend
    token_sha256: [` + digest(token) + `, ` + strings.ToUpper(digest(newToken)) + `]
    rpcs: [GrantAccess]
  - name: mesh/orders
    spiffe_id: spiffe://example.org/orders
    rpcs: ["*"]
  - name: batch
    dns_name: batch.example.org
    rpcs: [Create, GrantAccess]
  - name: reader
    dns_name: reader.example.org
    rpcs: [Get]
`
}

// TestIdentify shows that one bearer token or a verified certificate authenticates a caller, and nothing else does.
func TestIdentify(t *testing.T) {
	last := token[:len(token)-1] + "B"
	for name, test := range map[string]struct {
		metadata metadata.MD
		from     *peer.Peer
		caller   string
		code     codes.Code
	}{
		"token":                       {metadata: bearer(token), caller: "frontend"},
		"the token that replaces it":  {metadata: bearer(newToken), caller: "frontend"},
		"lower-case bearer":           {metadata: metadata.Pairs("authorization", "bearer "+token), caller: "frontend"},
		"upper-case bearer":           {metadata: metadata.Pairs("authorization", "BEARER "+token), caller: "frontend"},
		"empty header beside a token": {metadata: metadata.Pairs("authorization", "", "authorization", "Bearer "+token), caller: "frontend"},
		"other headers beside it":     {metadata: metadata.Join(bearer(token), metadata.Pairs("x-caller", "reader", "seam-workspace", "w")), caller: "frontend"},

		"nothing":                 {code: codes.Unauthenticated},
		"empty header":            {metadata: metadata.Pairs("authorization", ""), code: codes.Unauthenticated},
		"white space":             {metadata: metadata.Pairs("authorization", "  "), code: codes.Unauthenticated},
		"last byte differs":       {metadata: bearer(last), code: codes.Unauthenticated},
		"cut short":               {metadata: bearer(token[:len(token)-1]), code: codes.Unauthenticated},
		"one byte too many":       {metadata: bearer(token + "A"), code: codes.Unauthenticated},
		"other case":              {metadata: bearer(strings.ToLower(token)), code: codes.Unauthenticated},
		"its hash":                {metadata: bearer(digest(token)), code: codes.Unauthenticated},
		"space before":            {metadata: bearer(" " + token), code: codes.Unauthenticated},
		"space after":             {metadata: bearer(token + " "), code: codes.Unauthenticated},
		"zero byte after":         {metadata: bearer(token + "\x00"), code: codes.Unauthenticated},
		"comma and another":       {metadata: bearer(token + ", Bearer " + token), code: codes.Unauthenticated},
		"bearer without a token":  {metadata: metadata.Pairs("authorization", "Bearer "), code: codes.Unauthenticated},
		"bearer alone":            {metadata: metadata.Pairs("authorization", "Bearer"), code: codes.Unauthenticated},
		"token without a scheme":  {metadata: metadata.Pairs("authorization", token), code: codes.Unauthenticated},
		"tab for the space":       {metadata: metadata.Pairs("authorization", "Bearer\t"+token), code: codes.Unauthenticated},
		"Basic":                   {metadata: metadata.Pairs("authorization", "Basic "+token), code: codes.Unauthenticated},
		"Bearers":                 {metadata: metadata.Pairs("authorization", "Bearers "+token), code: codes.Unauthenticated},
		"two headers":             {metadata: metadata.Pairs("authorization", "Bearer "+token, "authorization", "Bearer "+last), code: codes.Unauthenticated},
		"the same header twice":   {metadata: metadata.Pairs("authorization", "Bearer "+token, "authorization", "Bearer "+token), code: codes.Unauthenticated},
		"the service credential":  {metadata: bearer(serviceKeyText), code: codes.Unauthenticated},
		"in another header":       {metadata: metadata.Pairs("proxy-authorization", "Bearer "+token), code: codes.Unauthenticated},
		"as Seam's session token": {metadata: metadata.Pairs("client-session-token", token), code: codes.Unauthenticated},
		"as a name":               {metadata: metadata.Pairs("x-caller", "frontend", "x-forwarded-user", "frontend"), code: codes.Unauthenticated},
		"certificate in a header": {metadata: metadata.Pairs("x-forwarded-client-cert", "URI=spiffe://example.org/orders"), code: codes.Unauthenticated},
		"like a JWT":              {metadata: bearer("a.b.c"), code: codes.Unauthenticated},
		"huge":                    {metadata: bearer(strings.Repeat("a", 1<<20)), code: codes.Unauthenticated},

		"SPIFFE id":                     {from: verified(t, "spiffe://example.org/orders", ""), caller: "mesh/orders"},
		"DNS name":                      {from: verified(t, "", "batch.example.org"), caller: "batch"},
		"certificate and empty header":  {metadata: metadata.Pairs("authorization", ""), from: verified(t, "", "batch.example.org"), caller: "batch"},
		"token before certificate":      {metadata: bearer(token), from: verified(t, "", "batch.example.org"), caller: "frontend"},
		"wrong token and certificate":   {metadata: bearer(last), from: verified(t, "", "batch.example.org"), code: codes.Unauthenticated},
		"certificate that may not":      {from: verified(t, "", "reader.example.org"), caller: "reader", code: codes.PermissionDenied},
		"certificate not verified":      {from: unverified(t, "spiffe://example.org/orders", "batch.example.org"), code: codes.Unauthenticated},
		"certificate of two":            {from: verified(t, "spiffe://example.org/orders", "batch.example.org"), code: codes.Unauthenticated},
		"unknown certificate":           {from: verified(t, "spiffe://example.org/ordersx", "x.batch.example.org"), code: codes.Unauthenticated},
		"SPIFFE id as a DNS name":       {from: verified(t, "", "spiffe://example.org/orders"), code: codes.Unauthenticated},
		"SPIFFE id of a longer path":    {from: verified(t, "spiffe://example.org/orders/x", ""), code: codes.Unauthenticated},
		"name in the common name alone": {from: commonName(t, "batch.example.org"), code: codes.Unauthenticated},
		"connection without TLS":        {from: &peer.Peer{Addr: &net.TCPAddr{}}, code: codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			got := grant(t, newCallers(t, callersFile()), test.metadata, test.from)
			if got.caller != test.caller || got.code() != test.code {
				t.Errorf("caller %q, code %s (%s)", got.caller, got.code(), got.cause())
			}
			if strings.Contains(got.cause(), "css_") || strings.Contains(got.cause(), serviceKeyText) {
				t.Errorf("the cause quotes a token: %s", got.cause())
			}
		})
	}
}

// TestServiceCredentialHeaders shows that Seam gets the service credential and no header of the caller.
func TestServiceCredentialHeaders(t *testing.T) {
	md := metadata.Join(bearer(token), metadata.Pairs("seam-workspace", "other", "client-session-token", "seam_cst1",
		"seam-publishable-key", "seam_pk1", "user-identifier-key", "k", "seam-sdk-name", "s", "cookie", "c"))
	for name, callers := range map[string]*auth.Callers{"callers": newCallers(t, callersFile()), "anonymous": nil} {
		got := grant(t, callers, md, nil)
		if !got.served || len(got.header) != 1 || got.header.Get("Authorization") != "Bearer "+serviceKeyText {
			t.Errorf("%s: headers for Seam are %q, error %v", name, got.header, got.err)
		}
	}
	// By the headers, what comes after knows whether a call has been authenticated.
	if got := grant(t, newCallers(t, callersFile()), bearer("css_WRONG"), nil); got.served || got.header != nil {
		t.Errorf("a call that is refused has the headers %q", got.header)
	}
}

// TestCallersRPCs shows that a caller may call the RPCs of its entry and no others.
func TestCallersRPCs(t *testing.T) {
	callers := newCallers(t, callersFile())
	for method, want := range map[string]codes.Code{
		"/seam.clientsession.v1.ClientSessionService/GrantAccess": codes.OK,
		"/seam.clientsession.v1.ClientSessionService/Get":         codes.PermissionDenied,
		"/seam.clientsession.v1.ClientSessionService/Create":      codes.PermissionDenied,
		"/seam.clientsession.v1.ClientSessionService/grantaccess": codes.PermissionDenied,
		"/seam.clientsession.v1.ClientSessionService/*":           codes.PermissionDenied,
		"/seam.clientsession.v1.ClientSessionService/":            codes.PermissionDenied,
	} {
		got := callRPC(t, callers, method, bearer(token), nil)
		if got.code() != want || got.caller != "frontend" {
			t.Errorf("%s gets %s", method, got.code())
		}
	}
	for _, method := range []string{"/seam.clientsession.v1.ClientSessionService/Delete", "/other.Service/Anything"} {
		if got := callRPC(t, callers, method, nil, verified(t, "spiffe://example.org/orders", "")); !got.served {
			t.Errorf("*: %s gets %v", method, got.err)
		}
	}
	health := &call.Call{Method: &call.Method{Public: true}}
	err := auth.NewServiceCredential(serviceKey(t), callers, false).Authenticate(t.Context(), health)
	if err != nil || health.SeamHeader != nil {
		t.Errorf("health gets %v", err)
	}
}

// TestNewToken shows that each token is new, and that its hash authenticates it.
func TestNewToken(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		made, hash := auth.NewToken()
		if seen[made] || !regexp.MustCompile(`^css_[A-Z2-7]{26}$`).MatchString(made) || hash != digest(made) {
			t.Fatalf("token %q, hash %s", made, hash)
		}
		seen[made] = true
		got := grant(t, newCallers(t, "callers: [{name: a, token_sha256: ["+hash+"], rpcs: [\"*\"]}]"), bearer(made), nil)
		if got.caller != "a" {
			t.Fatal(got.err)
		}
	}
}
