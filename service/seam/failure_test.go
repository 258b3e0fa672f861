package seam_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// A response that cannot be understood is INTERNAL and not UNAVAILABLE: the grant may have been made, so no client
// should try again by itself.
func TestInvalidResponse(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(zip, seamtest.Success)
	_ = zip.Close()
	const echoed = "seam_cst-in-the-body"
	for name, handler := range map[string]http.HandlerFunc{
		"HTML":                            responding(200, `<html>`+echoed+`</html>`, "content-type", "text/html"),
		"empty":                           responding(200, ``),
		"list":                            responding(200, `["`+echoed+`"]`),
		"wrong type":                      responding(200, `{"client_session":"`+echoed+`"}`),
		"half an object":                  responding(200, `{"client_session":{"token":"`+echoed),
		"shorter than its content length": responding(200, `{"ok":true,"x":"`+echoed, "content-length", "1000"),
		"cut off in chunks": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"ok":true,"x":"`+echoed)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"unrequested gzip": responding(200, zipped.String(), "content-encoding", "gzip"),
		"not modified":     responding(304, ``),
	} {
		t.Run(name, func(t *testing.T) {
			withID := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("seam-request-id", "r-1")
				handler(w, r)
			}
			response, _, err := grantOnce(t.Context(), t, newClient(t, serve(t, withID).URL))
			wantError(t, err, "upstream_response_invalid", codes.Internal)
			if carriedOut := response.HTTPStatus < 300; err.OutcomeUnknown != carriedOut {
				t.Errorf("%d: outcome unknown is %t", response.HTTPStatus, err.OutcomeUnknown)
			}
			if response.HTTPStatus == 0 || response.SeamRequestID != "r-1" || err.SeamRequestID != "r-1" || err.HTTPStatus != 502 {
				t.Errorf("response %+v, error %+v", response, err)
			}
			if err.Cause == nil || strings.Contains(err.Cause.Error(), echoed) {
				t.Errorf("cause is %v; want one that quotes nothing of the body", err.Cause)
			}
		})
	}
}

// Seam documents no redirect. Following one would send the credential to another host.
func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := serve(t, responding(200, seamtest.Success))
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			u := serve(t, responding(status, seamtest.Success, "location", elsewhere.URL+"/client_sessions/grant_access"))
			response, _, err := grant(t.Context(), t, newClient(t, u.URL))
			wantError(t, err, "upstream_response_invalid", codes.Internal)
			if response.HTTPStatus != status {
				t.Errorf("response is %+v", response)
			}
			if n := elsewhere.requests.Load(); n != 0 || u.requests.Load() != 1 {
				t.Errorf("%d requests went elsewhere, %d to Seam", n, u.requests.Load())
			}
		})
	}
}

// An endless body costs neither unbounded memory nor a connection: it is read up to the limit, and the connection is
// closed.
func TestEndlessResponse(t *testing.T) {
	t.Parallel()
	for status, errorType := range map[int]string{200: "upstream_response_invalid", 500: ""} {
		var sent atomic.Int64
		ended := make(chan struct{})
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			w.WriteHeader(status)
			for chunk := bytes.Repeat([]byte(" "), 64<<10); ; {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
		wantError(t, err, errorType, codes.Internal)
		<-ended // It ends by the connection being closed, while the client is still open.
		// What the kernel holds for a connection is sent too without being read; 24 MiB is far beyond that.
		if n := sent.Load(); n < 8<<20 || n > 32<<20 {
			t.Errorf("%d: %d bytes were accepted", status, n)
		}
	}
}

func TestLongestResponse(t *testing.T) {
	t.Parallel()
	body := seamtest.Success + strings.Repeat(" ", 8<<20+1-len(seamtest.Success))
	if _, _, err := grant(t.Context(), t, newClient(t, serve(t, responding(200, body)).URL)); err == nil {
		t.Error("more than 8 MiB are taken")
	}
	// The operator may set another limit.
	for size, fits := range map[int]bool{1000: true, 1001: false} {
		body := seamtest.Success + strings.Repeat(" ", size-len(seamtest.Success))
		client := newClient(t, serve(t, responding(200, body)).URL, func(c *seam.Config) { c.MaxResponseBytes = 1000 })
		if _, _, err := grant(t.Context(), t, client); fits != (err == nil) {
			t.Errorf("%d bytes with a limit of 1000: %v", size, err)
		}
	}
}

// Headers without end are not read without end either.
func TestHugeHeader(t *testing.T) {
	u := serve(t, responding(200, seamtest.Success, "x-huge", strings.Repeat("x", 80<<10)))
	_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
	wantError(t, err, "upstream_unreachable", codes.Unavailable)
}

func TestUnreachable(t *testing.T) {
	for name, upstream := range map[string]upstreamOf{
		"refused":                  refused,
		"closed before a response": saying("", seamtest.Close),
		"reset before a response":  saying("", seamtest.Reset),
		"reset in the headers":     saying("HTTP/1.1 200 OK\r\nContent-", seamtest.Reset),
		"not HTTP":                 saying("220 mail.example ESMTP\r\n", seamtest.Close),
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := upstream(t)
			response, _, err := grantOnce(t.Context(), t, newClient(t, url))
			wantError(t, err, "upstream_unreachable", codes.Unavailable)
			if !reflect.DeepEqual(response, seam.Response{Attempts: 1, Duration: response.Duration}) || err.HTTPStatus != 503 {
				t.Errorf("response %+v, error %+v", response, err)
			}
			if err.Cause == nil || !strings.Contains(err.Cause.Error(), "call 127.0.0.1: ") || strings.Contains(fmt.Sprint(err.Cause), credential) {
				t.Errorf("cause is %v", err.Cause)
			}
		})
	}
}

// net/http retries some requests when a kept-alive connection is lost. The first request may have created a session,
// and a retry would create another one, so there is no retry, and the error says that the outcome is unknown.
func TestRequestIsNotSentTwice(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Request: seamtest.Say("", seamtest.Close)})
	u.Heal()
	client := newClient(t, u.URL)
	create := seam.Call{Endpoint: seam.Create()}
	if _, _, err := send(t.Context(), t, client, create); err != nil {
		t.Fatal(err, err.Cause)
	}
	u.Break()
	response, _, err := send(t.Context(), t, client, create)
	wantError(t, err, "upstream_unreachable", codes.Unknown)
	if err.HTTPStatus != 424 || !err.OutcomeUnknown || !err.NoRetry || err.Message != "Seam could not be reached, and the outcome is unknown" {
		t.Errorf("error is %+v", err)
	}
	if n, dials := u.Requests.Load(), u.Connections.Load(); n != 1 || dials != 0 || response.Attempts != 1 {
		t.Errorf("%d requests on %d new connections for the second call, %d attempts", n, dials, response.Attempts)
	}
}

// However far Seam got, a call ends with its context.
func TestContextEndsCall(t *testing.T) {
	t.Parallel()
	block := func(r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
	}{
		"no response": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // A server notices that the caller left once it has read the request.
			block(r)
		}, 0},
		"half a response": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("seam-request-id", "r-1")
			_, _ = io.WriteString(w, `{"ok":`)
			_ = http.NewResponseController(w).Flush()
			block(r)
		}, 200},
		"half an error": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("seam-request-id", "r-1")
			w.WriteHeader(500)
			_ = http.NewResponseController(w).Flush()
			block(r)
		}, 500},
	} {
		reached := make(chan struct{}, 100)
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			reached <- struct{}{}
			test.handler(w, r)
		})
		client := newClient(t, u.URL)
		check := func(t *testing.T, response seam.Response, err *seamerr.Error) {
			t.Helper()
			// When the context ends before the headers were read, nothing is known of the response yet.
			if response.HTTPStatus != test.status && response.HTTPStatus != 0 {
				t.Errorf("response is %+v", response)
			}
			if response.HTTPStatus != 0 && (response.SeamRequestID != "r-1" || err.SeamRequestID != "r-1") {
				t.Errorf("response %+v, error %+v", response, err)
			}
		}
		t.Run(name+", deadline", func(t *testing.T) {
			// A busy machine may need more time than that to get the request to the upstream.
			for deadline := 100 * time.Millisecond; len(reached) == 0; deadline *= 2 {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				response, _, err := grant(ctx, t, client)
				cancel()
				wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
				if len(reached) > 0 {
					check(t, response, err)
				}
			}
			<-reached
		})
		t.Run(name+", cancel", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-reached
				cancel()
			}()
			response, _, err := grant(ctx, t, client)
			wantError(t, err, "canceled", codes.Canceled)
			check(t, response, err)
		})
	}
}

// A listener that accepts and says nothing, as a dead host behind a load balancer does.
func TestBlackHole(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{Accept: seamtest.HangOn})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err := grant(ctx, t, newClient(t, u.URL))
	wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
}

func TestContextOverBeforeTheCall(t *testing.T) {
	u := serve(t, responding(200, `{}`))
	client := newClient(t, u.URL)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := grant(cancelled, t, client)
	wantError(t, err, "canceled", codes.Canceled)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, _, err = grant(late, t, client)
	wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
	if n := u.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A response with status 101 hands the connection over to another protocol, which no deadline of Go's transport watches
// over any more.
func TestSwitchingProtocols(t *testing.T) {
	done := make(chan struct{})
	u := seamtest.New(t, seamtest.Fault{TLS: true, Request: func(conn net.Conn) seamtest.Then {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		select { // It hangs up by itself only to end a test that fails.
		case <-done:
		case <-time.After(5 * time.Second):
		}
		return seamtest.Close
	}})
	defer close(done)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, err := grant(ctx, t, newClient(t, u.URL))
	if err == nil {
		t.Fatal("no error")
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the call took %s, with a deadline of 100ms", took)
	}
}

// A request that cannot be written in JSON ends before anything is sent.
func TestRequestThatCannotBeWritten(t *testing.T) {
	u := serve(t, responding(200, `{}`))
	_, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
		Endpoint: seam.GrantAccess(), Header: authorized(), In: &grantRequest{UserIdentifierKey: new("\xff")}, Out: &grantResponse{},
	})
	e := seamerr.From(err)
	wantError(t, e, "internal_server_error", codes.Internal)
	if n := u.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
