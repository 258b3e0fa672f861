package auth_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/callinfo"
)

// passThrough makes a call with a credential and returns its record. The call ends with err.
func passThrough(t *testing.T, step grpc.UnaryServerInterceptor, seamStatus int, err error, headers ...string) callinfo.Call {
	t.Helper()
	call := &callinfo.Call{Metadata: metadata.Pairs(headers...)}
	ctx := callinfo.NewContext(t.Context(), call)
	var seen callinfo.Call
	_, got := step(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/s/Get"}, func(context.Context, any) (any, error) {
		seen = *call
		call.SeamStatus = seamStatus
		return nil, err
	})
	if !errors.Is(got, err) {
		t.Fatal(got)
	}
	return seen
}

// TestProvenBySuccessOfSeam shows that a credential is proven by a success of Seam, and by nothing else.
func TestProvenBySuccessOfSeam(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		err    error
		want   bool
	}{
		"Seam accepted":               {200, nil, true},
		"Seam refused":                {401, errors.New("unauthorized"), false},
		"Seam failed":                 {500, errors.New("failed"), false},
		"the call never reached Seam": {0, errors.New("invalid"), false},
		"success without Seam":        {0, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			step := auth.PassThrough()
			if passThrough(t, step, test.status, test.err, "authorization", "Bearer seam_a").Proven {
				t.Error("the first call is proven")
			}
			if got := passThrough(t, step, 200, nil, "authorization", "Bearer seam_a").Proven; got != test.want {
				t.Errorf("the second call is proven: %t", got)
			}
			if passThrough(t, step, 200, nil, "authorization", "Bearer seam_b").Proven {
				t.Error("another credential is proven")
			}
		})
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
		"sent twice":                {[]string{"client-session-token", token}, []string{"client-session-token", token, "seam-client-session-token", token}, true},
		"other publishable key":     {[]string{"seam-publishable-key", "seam_pk1"}, []string{"seam-publishable-key", "seam_pk2"}, false},
		"one more credential":       {[]string{"client-session-token", token}, []string{"client-session-token", token, "seam-publishable-key", "seam_pk1"}, false},
		"what is no credential":     {[]string{"authorization", "Bearer " + token, "seam-workspace", "w1"}, []string{"authorization", "Bearer " + token, "seam-workspace", "w2"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			step := auth.PassThrough()
			first := passThrough(t, step, 200, nil, test.first...).CallerKey
			if second := passThrough(t, step, 200, nil, test.second...).CallerKey; (first == second) != test.same {
				t.Errorf("keys %x and %x", first, second)
			}
		})
	}
}
