package server_test

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// frameAttacks are those on the gRPC face that need bare frames.
func frameAttacks() []attack {
	message := func() []byte {
		payload, err := proto.Marshal(grantByID())
		if err != nil {
			panic(err)
		}
		return payload
	}()
	many := make([]string, 0, 4000)
	for range 2000 {
		many = append(many, "+x-a", strings.Repeat("b", 30))
	}
	// with sends a body that may be none, in a stream of its own.
	with := func(body []byte, pairs ...string) func(*testing.T, *credentialHarness) (string, string) {
		return func(t *testing.T, h *credentialHarness) (string, string) {
			t.Helper()
			c := h.h2(t)
			defer c.Close()
			if err := c.open(1, pairs...); err == nil {
				for len(body) > 16<<10 && err == nil {
					err = c.WriteData(1, false, body[:16<<10])
					body = body[16<<10:]
				}
				_ = c.WriteData(1, true, body)
			}
			return c.outcome()
		}
	}
	const refused = "reset PROTOCOL_ERROR|reset INTERNAL_ERROR|goaway PROTOCOL_ERROR|closed"
	return []attack{
		{"good frames", framesWith(), "grpc 0", 1},
		{"packed request", with(envelope(1, message), "grpc-encoding", "gzip"), "grpc 12", 0},
		{"packed request, unknown coding", with(envelope(1, message), "grpc-encoding", "x"), "grpc 12", 0},
		{"packed flag without a coding", with(envelope(1, message)), "grpc 12", 0},
		{"unknown flag", with(envelope(7, message)), "grpc 12", 0},
		{"message of 4 GiB announced", with([]byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3}), "grpc 8", 0},
		{"2 MiB message", with(envelope(0, make([]byte, 60<<10))[:5], "content-length", "2097152"), "grpc 3", 0},
		{"message cut short", with(envelope(0, message)[:9]), "grpc 3", 0},
		{"no message", with(nil), "grpc 3", 0},
		{"two messages", with(append(envelope(0, message), envelope(0, message)...)), "grpc 3", 0},
		{"invalid message", with(envelope(0, []byte{0xff, 0xff, 0xff})), "grpc 3", 0},
		{"GET", framesWith(":method", "GET"), "grpc 13", 0},
		{"no content type", framesWith("content-type", ""), "grpc 3", 0},
		{"JSON", framesWith("content-type", "application/json"), "grpc 3", 0},
		// grpc-go takes a coding that it does not know for its own.
		{"gRPC of another coding", framesWith("content-type", "application/grpc+json"), "grpc 0", 1},
		{"no path", framesWith(":path", ""), "grpc 12", 0},
		{"two paths", framesWith("+:path", "/grpc.health.v1.Health/Check"), "reset PROTOCOL_ERROR", 0},
		{"upper-case name", framesWith("Authorization", "Bearer "+ordersToken), "reset PROTOCOL_ERROR", 0},
		{"connection header", framesWith("connection", "authorization"), "reset PROTOCOL_ERROR", 0},
		{"host beside authority", framesWith("host", "b"), "grpc 0", 1},
		{"two hosts", framesWith("host", "b", "+host", "c"), refused + "|http 400|grpc 13", 0},
		{"line break in a token", framesWith("authorization", "Bearer "+ordersToken+"\r\nx: y"), "reset PROTOCOL_ERROR", 0},
		{"zero byte in a token", framesWith("authorization", "Bearer "+ordersToken+"\x00"), "reset PROTOCOL_ERROR", 0},
		{"not ASCII in a token", framesWith("authorization", "Bearer "+ordersToken+"\xff"), refused + "|grpc 16|grpc 13", 0},
		{"invalid deadline", framesWith("grpc-timeout", "soon"), "grpc 13", 0},
		{"deadline of zero", framesWith("grpc-timeout", "0n"), "grpc 4", 0},
		{"invalid binary header", framesWith("x-bin", "!!!"), "grpc 13", 0},
		{"100 KB header", framesWith("x-a", strings.Repeat("a", 100<<10)), "http 431|grpc 8|" + refused + "|reset FRAME_SIZE_ERROR", 0},
		{"2000 headers", framesWith(many...), "reset FRAME_SIZE_ERROR", 0},
		{"2000 resets", rapidResets, "no stream is left", 0},
		{"flood of settings and pings", pings, "no stream is left", 0},
		{"HTTP/1 on the gRPC face", onGRPC("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "refused", 0},
		{"TLS on the gRPC face", onGRPC("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 600)), "refused", 0},
		{"invalid frames on the gRPC face", onGRPC(http2.ClientPreface + strings.Repeat("\xff", 4096)), "refused", 0},
	}
}

// rapidResets opens streams and takes each back at once, which costs the service more than the sender. The streams have
// no body, so none becomes a call.
func rapidResets(t *testing.T, h *credentialHarness) (string, string) {
	t.Helper()
	const streams = 2000
	for sent := 0; sent < streams; {
		c := h.h2(t)
		go func() { _, _ = io.Copy(io.Discard, c.Conn) }() // It ends when the connection is closed.
		stream := uint32(1)
		for ; sent < streams; sent++ {
			if c.open(stream) != nil || c.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
				break // The service has had enough of this connection; the next one is as good.
			}
			stream += 2
		}
		_ = c.Close()
	}
	return h.streamsLeft(t), ""
}

// streamsLeft waits until the service has closed the streams of clients that disconnected.
func (h *credentialHarness) streamsLeft(t *testing.T) string {
	t.Helper()
	seamtest.Eventually(t, "the streams are gone", func() bool { return h.metric(t, "client_session_service_grpc_streams") == 0 })
	return "no stream is left"
}

// pings floods the service with frames that it has to acknowledge.
func pings(t *testing.T, h *credentialHarness) (string, string) {
	t.Helper()
	c := h.h2(t)
	defer c.Close()
	go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
	for range 2000 {
		if c.WritePing(false, [8]byte{}) != nil || c.WriteSettings() != nil {
			break
		}
	}
	return h.streamsLeft(t), ""
}

// onGRPC writes bytes that are no HTTP/2 to the gRPC face, which has to end the connection.
func onGRPC(payload string) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		connection := dial(t, h.at.GRPC)
		defer connection.Close()
		go func() { _, _ = io.WriteString(connection, payload) }()
		reply, err := io.ReadAll(connection)
		if err != nil && strings.Contains(err.Error(), "timeout") {
			return "silence", string(reply)
		}
		return "refused", string(reply)
	}
}
