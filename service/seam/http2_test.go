package seam_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
)

// An upstream that hangs behind a live connection is found out by its silence, and further calls use another
// connection. Without that they would all go the same way, each to its deadline.
func TestDeadConnectionIsLeft(t *testing.T) {
	t.Parallel() // Ten seconds are waited.
	u := serveH2(t, func(s h2Stream) error {
		if s.connection == 1 && s.number == 2 {
			return errHang // Whatever is sent is still taken, as by a kernel whose process hangs.
		}
		return s.answer()
	})
	client := newClient(t, u.url)
	if _, _, err := get(t.Context(), t, client); err != nil {
		t.Fatal(err, err.Cause)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // A deadline must not be what ends the attempt.
	defer cancel()
	began := time.Now()
	answer, _, err := get(ctx, t, client)
	if err != nil || answer.Attempts != 2 {
		t.Fatalf("answer %+v, error %v", answer, err)
	}
	took := time.Since(began)
	t.Logf("the dead connection was left after %s because of: %v", took, answer.RetryReason)
	if took < 8*time.Second || took > 20*time.Second {
		t.Errorf("the dead connection was left after %s", took)
	}
	if n := u.connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// What comes after a GOAWAY that names the stream is the response, and further calls use another connection.
func TestAnswerAfterGoAway(t *testing.T) {
	u := serveH2(t, func(s h2Stream) error {
		_ = s.WriteGoAway(s.id, http2.ErrCodeNo, nil)
		return s.answer()
	})
	client := newClient(t, u.url)
	for i := range int32(3) {
		answer, out, err := put(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if err != nil || answer.Attempts != 1 || !out.GetOk() {
			t.Fatalf("answer %+v, error %v", answer, err)
		}
		if u.connections.Load() != i+1 || u.requests.Load() != i+1 {
			t.Errorf("%d requests on %d connections", u.requests.Load(), u.connections.Load())
		}
	}
}

// A stream that is refused says nothing of the connection, on which the retry goes well. Not even a creation fails.
func TestRefusedStreamIsRepeated(t *testing.T) {
	u := serveH2(t, func(s h2Stream) error {
		if s.number%2 == 1 {
			return s.reset(http2.ErrCodeRefusedStream)
		}
		return s.answer()
	})
	client := newClient(t, u.url)
	for range 3 {
		answer, _, err := put(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if err != nil || answer.Attempts != 2 {
			t.Fatalf("answer %+v, error %v", answer, err)
		}
	}
	if u.connections.Load() != 1 || u.requests.Load() != 6 {
		t.Errorf("%d requests on %d connections", u.requests.Load(), u.connections.Load())
	}
}

// A connection that its other end closes in good order while it is full of calls costs none of them its response.
func TestGoAwayAmongCalls(t *testing.T) {
	u := serveH2(t, func(s h2Stream) error {
		if s.connection == 1 && s.number == 3 {
			_ = s.WriteGoAway(s.id-2, http2.ErrCodeNo, nil)
			return nil
		}
		return s.answer()
	})
	client := newClient(t, u.url)
	for i := range 5 {
		answer, _, err := put(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if want := map[bool]int{true: 2, false: 1}[i == 2]; err != nil || answer.Attempts != want {
			t.Fatalf("call %d: answer %+v, error %v", i, answer, err)
		}
	}
	if u.connections.Load() != 2 || u.requests.Load() != 6 {
		t.Errorf("%d requests on %d connections", u.requests.Load(), u.connections.Load())
	}
}

// Go's transport puts a request again by itself after PROTOCOL_ERROR, unless it cannot; a session would be created
// over and over.
func TestProtocolErrorIsNotRepeatedUnseen(t *testing.T) {
	u := serveH2(t, func(s h2Stream) error { return s.reset(http2.ErrCodeProtocol) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // It would take a minute.
	defer cancel()
	_, _, err := put(ctx, t, newClient(t, u.url), seam.Call{Endpoint: seam.Create()})
	wantError(t, err, "upstream_unreachable", codes.Unknown)
	if n := u.requests.Load(); n != 1 {
		t.Errorf("%d requests for one call", n)
	}
}
