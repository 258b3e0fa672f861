package server_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// These helpers put bytes on the wire that no client library sends.

// wireTimeout bounds how long a response is waited for. Loopback responds at once; one that does not come fails the
// row.
const wireTimeout = 20 * time.Second

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	connection, err := net.DialTimeout("tcp", address, wireTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// raw writes bytes to the REST face and reads up to most responses. The outcome is their statuses, and "closed" when
// the service ended the connection before there were as many. The second result is all that it sent.
func (h *credentialHarness) raw(t *testing.T, payload string, most int) (outcome, reply string) {
	t.Helper()
	connection := dial(t, h.at.HTTP)
	defer connection.Close()
	// The service may respond and close while there is still something to write, so a failure to write is no news.
	go func() { _, _ = io.WriteString(connection, payload) }()
	var everything bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(connection, &everything))
	var outcomes []string
	for len(outcomes) < most {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				outcomes = append(outcomes, "silence")
			} else {
				outcomes = append(outcomes, "closed")
			}
			break
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		outcomes = append(outcomes, strconv.Itoa(response.StatusCode))
	}
	return strings.Join(outcomes, ","), everything.String()
}

// post is a POST of a grant in bytes, with headers as they are written, and with the body's length unless told.
func post(body string, headers ...string) string {
	text := "POST " + grantPath + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	length := !slices.ContainsFunc(headers, func(line string) bool {
		return strings.HasPrefix(strings.ToLower(line), "content-length") || strings.HasPrefix(strings.ToLower(line), "transfer-encoding")
	})
	if length {
		headers = append(headers, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return text + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// TestEarlyResponseIsNotLost shows that what net/http says of a request that it gives up reading arrives: the
// connection ends, and is not reset.
func TestEarlyResponseIsNotLost(t *testing.T) {
	t.Parallel()
	h := start(t)
	for name, head := range map[string]string{
		"long URL":    "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"long header": "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			connection := dial(t, h.at.HTTP)
			defer connection.Close()
			go func() { _, _ = io.WriteString(connection, head) }()
			reply, err := io.ReadAll(connection)
			if err != nil || !strings.HasPrefix(string(reply), "HTTP/1.1 431 ") {
				t.Errorf("%q, %v", reply, err)
			}
		})
	}
}

const asOrders = "Authorization: Bearer " + ordersToken

// h2 is a bare HTTP/2 connection to the gRPC face.
type h2 struct {
	net.Conn
	*http2.Framer

	t      *testing.T
	header bytes.Buffer
	hpack  *hpack.Encoder
}

func (h *credentialHarness) h2(t *testing.T) *h2 {
	t.Helper()
	c := &h2{Conn: dial(t, h.at.GRPC), t: t}
	c.Framer = http2.NewFramer(c.Conn, c.Conn)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.header)
	if _, err := io.WriteString(c.Conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// open writes the headers of a stream: those of a good call, but for what the pairs say. An empty value takes a header
// away, and a name that begins with + comes in addition.
func (c *h2) open(stream uint32, pairs ...string) error {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/seam.clientsession.v1.ClientSessionService/GrantAccess"},
		{Name: ":authority", Value: "a"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
		{Name: "authorization", Value: "Bearer " + ordersToken},
	}
	for i := 0; i < len(pairs); i += 2 {
		name, more := strings.CutPrefix(pairs[i], "+")
		at := slices.IndexFunc(fields, func(f hpack.HeaderField) bool { return f.Name == name })
		switch {
		case at < 0 || more:
			fields = append(fields, hpack.HeaderField{Name: name, Value: pairs[i+1]})
		case pairs[i+1] == "":
			fields = slices.Delete(fields, at, at+1)
		default:
			fields[at].Value = pairs[i+1]
		}
	}
	c.header.Reset()
	for _, field := range fields {
		if err := c.hpack.WriteField(field); err != nil {
			return err
		}
	}
	const frame = 16 << 10
	block := c.header.Bytes()
	first := block[:min(len(block), frame)]
	rest := block[len(first):]
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(rest) == 0})
	for err == nil && len(rest) > 0 {
		next := rest[:min(len(rest), frame)]
		rest = rest[len(next):]
		err = c.WriteContinuation(stream, len(rest) == 0, next)
	}
	return err
}

// outcome reads until the stream 1 has ended: "grpc 16", "http 404", "reset PROTOCOL_ERROR", "goaway ..." or "closed".
func (c *h2) outcome() (outcome, reply string) {
	const stream = 1
	var everything strings.Builder
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				return "silence", everything.String()
			}
			return "closed", everything.String()
		}
		fmt.Fprintf(&everything, "%v\n", frame)
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = c.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				fmt.Fprintf(&everything, "%s: %s\n", field.Name, field.Value)
			}
			if frame.StreamID != stream || !frame.StreamEnded() {
				continue
			}
			for _, field := range frame.Fields {
				if field.Name == "grpc-status" {
					return "grpc " + field.Value, everything.String()
				}
			}
			return "http " + frame.PseudoValue("status"), everything.String()
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return "reset " + frame.ErrCode.String(), everything.String()
			}
		case *http2.GoAwayFrame:
			return "goaway " + frame.ErrCode.String(), everything.String()
		}
	}
}

// envelope is a gRPC message on the wire.
func envelope(flag byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(payload))), payload...)
}

// frames makes one call of GrantAccess in bare frames.
func (h *credentialHarness) frames(t *testing.T, pairs ...string) (outcome, reply string) {
	t.Helper()
	payload, err := proto.Marshal(grantByID())
	if err != nil {
		t.Fatal(err)
	}
	c := h.h2(t)
	defer c.Close()
	if err := c.open(1, pairs...); err == nil {
		_ = c.WriteData(1, true, envelope(0, payload))
	}
	return c.outcome()
}
