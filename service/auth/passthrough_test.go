package auth_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestForward(t *testing.T) {
	for name, test := range map[string]struct {
		metadata metadata.MD
		want     http.Header
	}{
		"everything that is allowed": {
			metadata.Pairs(
				"authorization", "Bearer seam_key", "client-session-token", "seam_key", "seam-client-session-token", "seam_key",
				"seam-publishable-key", "seam_key", "seam-workspace", "w", "seam-user-identifier-key", "k1",
				"user-identifier-key", "k2", "seam-lts-version", "1.0", "seam-sdk-name", "go", "seam-sdk-version", "2",
			),
			http.Header{
				"Authorization": {"Bearer seam_key"}, "Client-Session-Token": {"seam_key"},
				"Seam-Client-Session-Token": {"seam_key"}, "Seam-Publishable-Key": {"seam_key"}, "Seam-Workspace": {"w"},
				"Seam-User-Identifier-Key": {"k1"}, "User-Identifier-Key": {"k2"}, "Seam-Lts-Version": {"1.0"},
				"Seam-Sdk-Name": {"go"}, "Seam-Sdk-Version": {"2"},
			},
		},
		"nothing else": {
			// What is not on the list stays here, above all what would change where or how the request goes.
			metadata.Pairs(
				"authorization", "Bearer k", ":authority", "evil.example", "host", "evil.example", "cookie", "c=1",
				"x-forwarded-for", "1.2.3.4", "content-type", "application/grpc", "content-length", "5",
				"transfer-encoding", "chunked", "connection", "upgrade", "user-agent", "ua", "grpc-timeout", "1S",
				"accept-encoding", "gzip", "proxy-authorization", "Basic x", "x-request-id", "r", "seam-anything", "s",
				"idempotency-key", "i", "authorization-bin", "b", "expect", "100-continue",
			),
			http.Header{"Authorization": {"Bearer k"}},
		},
		"client session token alone":    {metadata.Pairs("client-session-token", "c"), http.Header{"Client-Session-Token": {"c"}}},
		"its other name":                {metadata.Pairs("seam-client-session-token", "c"), http.Header{"Seam-Client-Session-Token": {"c"}}},
		"publishable key alone":         {metadata.Pairs("seam-publishable-key", "p"), http.Header{"Seam-Publishable-Key": {"p"}}},
		"empty is absent":               {metadata.Pairs("authorization", "", "client-session-token", "c", "seam-workspace", ""), http.Header{"Client-Session-Token": {"c"}}},
		"empty beside a value":          {metadata.Pairs("authorization", "", "authorization", "Bearer k", "authorization", ""), http.Header{"Authorization": {"Bearer k"}}},
		"every printable character":     {metadata.Pairs("authorization", "Bearer "+allPrintable()), http.Header{"Authorization": {"Bearer " + allPrintable()}}},
		"name in another case":          {metadata.MD{"authorization": {"k"}, "seam-workspace": {"w"}}, http.Header{"Authorization": {"k"}, "Seam-Workspace": {"w"}}},
		"control characters not passed": {metadata.Pairs("authorization", "k", "cookie", "a\r\nb"), http.Header{"Authorization": {"k"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := auth.Forward(test.metadata)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("headers are %q, want %q", got, test.want)
			}
		})
	}
}

func allPrintable() string {
	var b strings.Builder
	for r := '!'; r <= '~'; r++ {
		b.WriteRune(r)
	}
	return "x" + b.String()
}

func TestForwardRefuses(t *testing.T) {
	const secret = "seam_secret"
	odd := func(name, value string) metadata.MD { return metadata.Pairs("authorization", "Bearer k", name, value) }
	for name, test := range map[string]struct {
		metadata metadata.MD
		code     codes.Code
		message  string
	}{
		"nothing at all":        {nil, codes.Unauthenticated, "No authentication methods succeeded"},
		"no credential":         {metadata.Pairs("seam-workspace", "w", "user-identifier-key", "k"), codes.Unauthenticated, "No authentication methods succeeded"},
		"empty credentials":     {metadata.Pairs("authorization", "", "client-session-token", ""), codes.Unauthenticated, "No authentication methods succeeded"},
		"a cookie":              {metadata.Pairs("cookie", "authorization="+secret), codes.Unauthenticated, "No authentication methods succeeded"},
		"repeated":              {metadata.Pairs("authorization", secret, "authorization", secret+"2"), codes.InvalidArgument, "Header authorization is given more than once"},
		"repeated alike":        {metadata.Pairs("authorization", secret, "authorization", secret), codes.InvalidArgument, "Header authorization is given more than once"},
		"repeated around empty": {metadata.Pairs("client-session-token", secret, "client-session-token", "", "client-session-token", "b"), codes.InvalidArgument, "Header client-session-token is given more than once"},
		"workspace repeated":    {metadata.Pairs("authorization", secret, "seam-workspace", "a", "seam-workspace", "b"), codes.InvalidArgument, "Header seam-workspace is given more than once"},
		// Each credential beside an accepted one would be another caller, with a rate and slots of its own.
		"second credential":  {odd("client-session-token", secret), codes.InvalidArgument, "Header client-session-token has a second credential"},
		"second word":        {metadata.Pairs("authorization", "Bearer "+secret+" 17"), codes.InvalidArgument, "Header authorization has a second credential"},
		"second publishable": {metadata.Pairs("client-session-token", secret, "seam-publishable-key", "p"), codes.InvalidArgument, "Header seam-publishable-key has a second credential"},
		"line break":         {odd("seam-workspace", "w\r\nhost: evil"), codes.InvalidArgument, "Header seam-workspace has characters that are not allowed"},
		"bare line feed":     {odd("seam-workspace", "w\n"), codes.InvalidArgument, "Header seam-workspace has characters that are not allowed"},
		"zero byte":          {odd("seam-sdk-name", "\x00"), codes.InvalidArgument, "Header seam-sdk-name has characters that are not allowed"},
		"tab":                {odd("seam-sdk-version", "a\tb"), codes.InvalidArgument, "Header seam-sdk-version has characters that are not allowed"},
		"delete":             {odd("seam-lts-version", "\x7f"), codes.InvalidArgument, "Header seam-lts-version has characters that are not allowed"},
		"not ASCII":          {odd("user-identifier-key", "é"), codes.InvalidArgument, "Header user-identifier-key has characters that are not allowed"},
		"odd credential":     {metadata.Pairs("authorization", secret+"\r"), codes.InvalidArgument, "Header authorization has characters that are not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			header, _, err := auth.Forward(test.metadata)
			var e *seamerr.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v, headers are %q", err, header)
			}
			if e.GRPCCode() != test.code || e.Message != test.message {
				t.Errorf("error is %v", e)
			}
			if header != nil {
				t.Errorf("headers %q come with the error", header)
			}
			if strings.Contains(e.GRPCStatus().String(), secret) {
				t.Errorf("the error quotes a credential: %v", e)
			}
		})
	}
}

// TestPassThrough shows which calls are served, and that the credential travels in the record of the call.
func TestPassThrough(t *testing.T) {
	credential := metadata.Pairs("authorization", "Bearer k")
	for name, test := range map[string]struct {
		method   call.Method
		metadata metadata.MD
		served   bool
	}{
		"with a credential":            {call.Method{}, credential, true},
		"without":                      {call.Method{}, nil, false},
		"health":                       {call.Method{Public: true}, nil, true},
		"health with an invalid value": {call.Method{Public: true}, metadata.Pairs("authorization", "\x00"), true},
		"reflection":                   {call.Method{Reflection: true}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &call.Call{Metadata: test.metadata, Method: &test.method}
			err := auth.NewPassThrough().Authenticate(t.Context(), c)
			if served := err == nil; served != test.served {
				t.Fatalf("served: %t, error %v", served, err)
			}
			if err != nil {
				if code := seamerr.From(err).GRPCCode(); code != codes.Unauthenticated || c.SeamHeader != nil {
					t.Errorf("error is %v, headers are %q", err, c.SeamHeader)
				}
				return
			}
			var want http.Header
			if name == "with a credential" {
				want = http.Header{"Authorization": {"Bearer k"}}
			}
			if !reflect.DeepEqual(c.SeamHeader, want) {
				t.Errorf("headers for Seam are %q, want %q", c.SeamHeader, want)
			}
		})
	}
}
