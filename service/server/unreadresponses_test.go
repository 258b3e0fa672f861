package server_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

const listMethod = "/seam.clientsession.v1.ClientSessionService/List"

// injectList has Seam respond to each list with one of so many sessions of 3 KB each.
func (h *harness) injectList(sessions int) {
	h.t.Helper()
	one := `{"client_session_id":"` + sandbox.SessionID + `","customer_key":"` + strings.Repeat("k", 3000) + `"}`
	err := h.sandbox.Inject(sandbox.Fault{
		Path: "/client_sessions/list", Status: http.StatusOK, ContentType: "application/json",
		Body: `{"client_sessions":[` + strings.Repeat(one+",", sessions-1) + one + `],"ok":true}`,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestUnreadResponsesOverGRPC shows that a long response that its client does not read holds its slot and its memory
// until the deadline, and neither for longer, whoever has set it.
func TestUnreadResponsesOverGRPC(t *testing.T) {
	t.Parallel() // It waits for deadlines.
	for name, headers := range map[string][]string{
		"deadline of the service": {":path", listMethod},
		"deadline of the client":  {":path", listMethod, "grpc-timeout", "2S"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startWithCredential(t, func(cfg *config.Config) { cfg.DefaultTimeout = 2 * time.Second })
			h.injectList(700)
			before := h.metric(t, "client_session_service_upstream_response_bytes")
			c := h.h2(t)
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c.Conn) }() // It never updates a window.
			for stream := range uint32(3) {
				if err := c.open(2*stream+1, headers...); err != nil {
					t.Fatal(err)
				}
				if err := c.WriteData(2*stream+1, true, envelope(0, nil)); err != nil {
					t.Fatal(err)
				}
			}
			holds := func(calls, bytes float64) func() bool {
				return func() bool {
					return h.metric(t, "client_session_service_in_flight") == calls &&
						h.metric(t, "client_session_service_upstream_response_bytes") >= bytes
				}
			}
			seamtest.Eventually(t, "all lists to be in memory", holds(3, before+3*4*2<<20))
			h.check(t)
			seamtest.Eventually(t, "all to be given up", func() bool {
				return holds(0, 0)() && h.metric(t, "client_session_service_upstream_response_bytes") == before
			})
			h.check(t)
		})
	}
}

// TestUnreadConnection shows that the bytes of a stream that its client has reset count until they have left: grpc-go
// queues them while a client does not read its connection at all. The connection is closed then.
func TestUnreadConnection(t *testing.T) {
	t.Parallel() // The client has five seconds.
	h := startWithCredential(t, func(cfg *config.Config) { cfg.DefaultTimeout = 10 * time.Second })
	h.injectList(100)
	before := h.metric(t, "client_session_service_upstream_response_bytes")
	held := func() float64 { return h.metric(t, "client_session_service_upstream_response_bytes") - before }
	c := h.h2(t)
	defer c.Close()
	const open = 1 << 30 // The windows of the connection and of each stream.
	if err := errors.Join(c.Conn.(*net.TCPConn).SetReadBuffer(4<<10), c.WriteWindowUpdate(0, open),
		c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: open})); err != nil {
		t.Fatal(err)
	}
	// The kernel takes the first ones.
	stream, stuck := uint32(1), time.Time{}
	const patience = 3 * time.Second // Less than what the client has.
	for ; time.Since(stuck) < patience || stuck.IsZero(); stream += 2 {
		if err := errors.Join(c.open(stream, ":path", listMethod), c.WriteData(stream, true, envelope(0, nil))); err != nil {
			t.Fatal(err)
		}
		for stuck = time.Now(); time.Since(stuck) < patience; time.Sleep(time.Millisecond) {
			if held() == 0 && len(h.sandbox.Requests()) > int(stream/2) {
				break
			}
		}
	}
	if err := c.WriteRSTStream(stream-2, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second / 2)
	if held() == 0 {
		t.Error("the list of a reset stream does not count while it is queued")
	}
	h.check(t)
	seamtest.Eventually(t, "the connection is closed", func() bool { return held() == 0 })
}

// TestMemoryForResponses shows that the memory for responses is bounded, that those for which there is none are refused
// as overload, and that one caller leaves memory for the others.
func TestMemoryForResponses(t *testing.T) {
	t.Parallel()
	h := startWithCredential(t, func(cfg *config.Config) { cfg.MaxTimeout, cfg.DefaultTimeout = 3*time.Second, 3*time.Second })
	h.injectList(700)
	var unread []*h2
	for range 20 {
		c := h.h2(t)
		defer c.Close()
		unread = append(unread, c)
		if err := c.open(1, ":path", listMethod); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteData(1, true, envelope(0, nil)); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for _, c := range unread {
		if outcome, _ := c.outcome(); outcome == "grpc 8" {
			refused++
		}
	}
	// Each takes four times its length of 2 MiB, and the caller gets two thirds of 56 MiB.
	if refused < 14 || refused > 18 {
		t.Errorf("%d of 20 unread lists were refused", refused)
	}
	if got := h.send(http.MethodPost, "/client_sessions/list", `{}`, "Authorization", "Bearer "+readerToken); got.status != http.StatusOK {
		t.Errorf("a list of another caller gets %d %.200s", got.status, got.text)
	}
	if got := h.metric(t, `client_session_service_refused_total{limit="response_bytes"}`); got != float64(refused) {
		t.Errorf("%v refusals are counted, want %d", got, refused)
	}
}

// TestWatchWithoutItsMessage shows that a stream whose first message does not arrive ends in the time of a request, and
// that a long message is refused before it is in memory.
func TestWatchWithoutItsMessage(t *testing.T) {
	t.Parallel() // A request has ten seconds.
	h := startWithCredential(t)
	const watch = "/grpc.health.v1.Health/Watch"
	// The codes are grpc-go's, which responds by itself when it cannot read a message of a stream.
	for name, message := range map[string]struct {
		head []byte
		want string
		most time.Duration
	}{
		"none":           {nil, "grpc 1", 15 * time.Second},
		"all but a byte": {envelope(0, make([]byte, 4<<10))[:4<<10], "grpc 1", 15 * time.Second},
		"too long":       {envelope(0, make([]byte, 4<<20))[:5], "grpc 8", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := h.h2(t)
			defer c.Close()
			began := time.Now()
			if err := c.open(1, ":path", watch); err != nil {
				t.Fatal(err)
			}
			if err := c.WriteData(1, false, message.head); err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			if got, _ := c.outcome(); got != message.want || time.Since(began) > message.most {
				t.Errorf("outcome %q after %s, want %q", got, time.Since(began), message.want)
			}
		})
	}
}
