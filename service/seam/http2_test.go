package seam_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// An upstream that hangs behind a live connection is found out by its silence, and further calls use another
// connection. Without that they would all go the same way, each to its deadline.
func TestDeadConnectionIsLeft(t *testing.T) {
	t.Parallel() // Ten seconds are waited.
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
		if s.Connection == 1 && s.Number == 2 {
			return seamtest.Hang // Whatever is sent is still taken, as by a kernel whose process hangs.
		}
		return s.Respond(seamtest.Success)
	}})
	client := newClient(t, u.URL)
	if _, _, err := get(t.Context(), t, client); err != nil {
		t.Fatal(err, err.Cause)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // A deadline must not be what ends the attempt.
	defer cancel()
	began := time.Now()
	response, _, err := get(ctx, t, client)
	if err != nil || response.Attempts != 2 {
		t.Fatalf("response %+v, error %v", response, err)
	}
	took := time.Since(began)
	t.Logf("the dead connection was left after %s because of: %v", took, response.RetryReason)
	if took < 8*time.Second || took > 20*time.Second {
		t.Errorf("the dead connection was left after %s", took)
	}
	if n := u.Connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// What comes after a GOAWAY that names the stream is the response, and further calls use another connection.
func TestResponseAfterGoAway(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
		if s.Number > 1 {
			t.Errorf("request %d came on connection %d, which had ended", s.Number, s.Connection)
		}
		_ = s.WriteGoAway(s.ID, http2.ErrCodeNo, nil)
		return s.Respond(seamtest.Success)
	}})
	client := newClient(t, u.URL)
	for i := range int32(3) {
		response, out, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if err != nil || response.Attempts != 1 || !out.GetOk() {
			t.Fatalf("response %+v, error %v", response, err)
		}
		if n := u.Requests.Load(); n != i+1 {
			t.Errorf("%d requests for %d calls", n, i+1)
		}
	}
}

// A stream that is refused says nothing of the connection, on which the retry goes well. Not even a creation fails.
func TestRefusedStreamIsRetried(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
		if s.Number%2 == 1 {
			return s.Reset(http2.ErrCodeRefusedStream)
		}
		return s.Respond(seamtest.Success)
	}})
	client := newClient(t, u.URL)
	for range 3 {
		response, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if err != nil || response.Attempts != 2 {
			t.Fatalf("response %+v, error %v", response, err)
		}
	}
	if u.Connections.Load() != 1 || u.Requests.Load() != 6 {
		t.Errorf("%d requests on %d connections", u.Requests.Load(), u.Connections.Load())
	}
}

// A connection that its other end closes in good order while it is full of calls costs none of them its response.
func TestGoAwayAmongCalls(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
		if s.Connection == 1 && s.Number == 3 {
			_ = s.WriteGoAway(s.ID-2, http2.ErrCodeNo, nil)
			return seamtest.KeepOpen
		}
		return s.Respond(seamtest.Success)
	}})
	client := newClient(t, u.URL)
	for i := range 5 {
		response, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if want := map[bool]int{true: 2, false: 1}[i == 2]; err != nil || response.Attempts != want {
			t.Fatalf("call %d: response %+v, error %v", i, response, err)
		}
	}
	if u.Connections.Load() != 2 || u.Requests.Load() != 6 {
		t.Errorf("%d requests on %d connections", u.Requests.Load(), u.Connections.Load())
	}
}

// Go's transport sends a request again by itself after PROTOCOL_ERROR, unless it cannot; a session would be created
// over and over.
func TestProtocolErrorIsNotRetriedUnseen(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then { return s.Reset(http2.ErrCodeProtocol) }})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // It would take a minute.
	defer cancel()
	_, _, err := send(ctx, t, newClient(t, u.URL), seam.Call{Endpoint: seam.Create()})
	wantError(t, err, "upstream_unreachable", codes.Unknown)
	if n := u.Requests.Load(); n != 1 {
		t.Errorf("%d requests for one call", n)
	}
}
