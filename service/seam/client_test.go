package seam

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestRequest shows that what goes out is the caller's headers, the four of our own, and nothing that Go adds by itself.
func TestRequest(t *testing.T) {
	type seen struct {
		method, target, host, body string
		header                     http.Header
		length                     int64
	}
	for prefix, target := range map[string]string{
		"":           "/client_sessions/grant_access",
		"/":          "/client_sessions/grant_access",
		"/seam/v1":   "/seam/v1/client_sessions/grant_access",
		"/seam/v1/":  "/seam/v1/client_sessions/grant_access",
		"/a%2Fb/%20": "/a%2Fb/%20/client_sessions/grant_access",
		"/seam//":    "/seam/client_sessions/grant_access",
	} {
		t.Run(prefix, func(t *testing.T) {
			var got seen
			overBoth(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = seen{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.ContentLength}
				_, _ = io.WriteString(w, `{}`)
			}, func(t *testing.T, b *bubble) {
				for _, ids := range [][]string{{"a\"", "b"}, {strings.Repeat("a", 8<<10)}} {
					header := authorized()
					header.Set("seam-workspace", "w-1")
					before := header.Clone()
					in := &grantRequest{ClientSessionId: new("c"), ConnectedAccountIds: ids}
					if _, _, err := send(t.Context(), b.Client, Call{Endpoint: GrantAccess(), Header: header, In: in}); err != nil {
						t.Fatal(err, err.Cause)
					}
					list, _ := json.Marshal(ids)
					body := `{"client_session_id":"c","connected_account_ids":` + string(list) + `}`
					want := seen{http.MethodPost, target, b.endpoint.Host, body, http.Header{
						"Authorization": {"Bearer " + credential}, "Seam-Workspace": {"w-1"}, "Content-Type": {"application/json"},
						"Accept": {"application/json"}, "User-Agent": {"test/1"}, "Content-Length": {strconv.Itoa(len(body))},
					}, int64(len(body))}
					if !reflect.DeepEqual(got, want) {
						t.Errorf("request is %+v\nwant %+v", got, want)
					}
					if !reflect.DeepEqual(header, before) {
						t.Errorf("the caller's headers were changed to %q", header)
					}
				}
			}, func(c *Config) { c.Endpoint, _ = url.Parse(c.Endpoint.String() + prefix) })
		})
	}
}

// TestNothingIsSent shows the calls that end before anything is sent.
func TestNothingIsSent(t *testing.T) {
	grant := Call{Endpoint: GrantAccess()}
	unwritable, injected := grant, grant
	unwritable.In = &grantRequest{UserIdentifierKey: new("\xff")}
	injected.Header = http.Header{"Authorization": {"Bearer a\r\nInjected: b"}}
	for name, test := range map[string]struct {
		call      Call
		canceled  bool
		waits     time.Duration
		errorType string
		code      codes.Code
	}{
		"canceled":                   {grant, true, 0, "canceled", codes.Canceled},
		"past its deadline":          {grant, false, time.Minute, "upstream_timeout", codes.DeadlineExceeded},
		"a request that is not JSON": {unwritable, false, 0, "internal_server_error", codes.Internal},
		"a header with a line break": {injected, false, 0, "upstream_unreachable", codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, responding(200, seamtest.Success), func(t *testing.T, b *bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if test.canceled {
					cancel()
				}
				time.Sleep(test.waits)
				_, _, err := send(ctx, b.Client, test.call)
				wantError(t, err, test.errorType, test.code)
				if n, _ := b.requests(); n != 0 {
					t.Errorf("%d requests were sent", n)
				}
			})
		})
	}
}

// TestContextEndsCall shows that a call ends with its context, however far Seam got.
func TestContextEndsCall(t *testing.T) {
	begin := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			responding(status, `{"ok":`, "seam-request-id", "r-1")(w, r)
			_ = http.NewResponseController(w).Flush()
			silent(w, r)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no response": silent, "half a response": begin(200), "half an error": begin(500),
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, handler, func(t *testing.T, b *bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				_, _, err := call(ctx, b.Client, GrantAccess())
				wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				_, _, err = call(ctx, b.Client, GrantAccess())
				wantError(t, err, "canceled", codes.Canceled)
				if took := time.Since(began); took != 2*time.Second || !err.OutcomeUnknown {
					t.Errorf("two calls took %s, error %+v", took, err)
				}
			})
		})
	}
}

// TestDeadlineOfSockets shows that a call ends with its deadline where Go's transport does not watch over it: while a
// listener accepts and says nothing, as a dead host behind a load balancer does, and after a response with status 101,
// which hands the connection over to another protocol.
func TestDeadlineOfSockets(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
	for name, test := range map[string]struct {
		fault     seamtest.Fault
		errorType string
		code      codes.Code
	}{
		"accepts only": {seamtest.Fault{TLS: true, Accept: seamtest.HangOn}, "upstream_timeout", codes.DeadlineExceeded},
		"switches protocols": {
			seamtest.Fault{TLS: true, Request: seamtest.Say(switching, seamtest.Hang)}, "upstream_response_invalid", codes.Internal,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, _, err := once(ctx, newClient(t, seamtest.New(t, test.fault).URL))
			wantError(t, err, test.errorType, test.code)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the call took %s", took)
			}
		})
	}
}
