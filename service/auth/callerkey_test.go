package auth_test

import (
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
)

// passThrough authenticates a call with credentials and returns its record.
func passThrough(t *testing.T, authenticator auth.PassThrough, headers ...string) *call.Call {
	t.Helper()
	c := &call.Call{Metadata: metadata.Pairs(headers...), Method: &call.Method{FullMethod: "/s/Get"}}
	if err := authenticator.Authenticate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestProvenOnceAccepted shows that a credential is proven once it has been accepted, and no other one.
func TestProvenOnceAccepted(t *testing.T) {
	authenticator := auth.NewPassThrough()
	first := passThrough(t, authenticator, "authorization", "Bearer seam_a")
	second := passThrough(t, authenticator, "authorization", "Bearer seam_a")
	authenticator.Accepted(second)
	third := passThrough(t, authenticator, "authorization", "Bearer seam_a")
	another := passThrough(t, authenticator, "authorization", "Bearer seam_b")
	if first.Proven || second.Proven || !third.Proven || another.Proven {
		t.Errorf("proven: %t, %t, %t; another credential: %t", first.Proven, second.Proven, third.Proven, another.Proven)
	}
}

// TestCallerKey shows that the same credentials are the same caller, whichever headers carry them.
func TestCallerKey(t *testing.T) {
	const token = "seam_cst1_passw0rd"
	for name, test := range map[string]struct {
		first, second []string
		same          bool
	}{
		"same credential":           {[]string{"authorization", "Bearer " + token}, []string{"authorization", "Bearer " + token}, true},
		"other credential":          {[]string{"authorization", "Bearer " + token}, []string{"authorization", "Bearer " + token + "2"}, false},
		"scheme in lower case":      {[]string{"authorization", "Bearer " + token}, []string{"authorization", "bearer  " + token}, true},
		"both headers of a session": {[]string{"client-session-token", token}, []string{"seam-client-session-token", token}, true},
		"header and bearer":         {[]string{"client-session-token", token}, []string{"authorization", "Bearer " + token}, true},
		"sent twice":                {[]string{"client-session-token", token}, []string{"authorization", "Bearer " + token, "client-session-token", token}, true},
		"other publishable key":     {[]string{"seam-publishable-key", "seam_pk1"}, []string{"seam-publishable-key", "seam_pk2"}, false},
		"what is no credential":     {[]string{"authorization", "Bearer " + token, "seam-workspace", "w1"}, []string{"authorization", "Bearer " + token, "seam-workspace", "w2"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			authenticator := auth.NewPassThrough()
			first := passThrough(t, authenticator, test.first...).CallerKey
			if second := passThrough(t, authenticator, test.second...).CallerKey; (first == second) != test.same {
				t.Errorf("keys %x and %x", first, second)
			}
		})
	}
}
