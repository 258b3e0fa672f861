package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// goodResponse has the token of a session, which must come out in the response alone.
const goodResponse = `{"client_session":{"client_session_id":"` + sandbox.SessionID + `","token":"` + sandbox.SessionToken + `"},"ok":true}`

// What an upstream does with a connection.

// deaf reads nothing as long as the fault lasts, and then to the end, to see that the service has closed the
// connection.
func deaf(u *seamtest.Upstream, conn net.Conn) {
	<-u.Healed()
	seamtest.HangOn(u, conn)
}

func inPlainText(_ *seamtest.Upstream, conn net.Conn) {
	_, _ = io.WriteString(conn, seamtest.Response("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"))
}

// untrusted has a certificate of an unknown authority.
func untrusted(t *testing.T) func(*seamtest.Upstream, net.Conn) {
	t.Helper()
	pair := seamtest.NewAuthority(t, "untrusted").Pair(t, "seam")
	return func(_ *seamtest.Upstream, conn net.Conn) {
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
		if secured.Handshake() != nil {
			return
		}
		if request, err := http.ReadRequest(bufio.NewReader(secured)); err == nil {
			t.Errorf("an untrusted upstream received %v", request.Header)
		}
	}
}

// What an upstream does with a request.

// drips writes the first text at once and the second one byte by byte, until the client closes the connection.
func drips(atOnce, text string) func(net.Conn) seamtest.Then {
	return func(conn net.Conn) seamtest.Then {
		_, err := io.WriteString(conn, atOnce)
		for i := 0; i < len(text) && err == nil; i++ {
			time.Sleep(50 * time.Millisecond) // It is the fault, and does not wait for an event.
			_, err = io.WriteString(conn, text[i:i+1])
		}
		return seamtest.Close
	}
}

func endlessBody(conn net.Conn) seamtest.Then {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
	for chunk := bytes.Repeat([]byte("0,"), 32<<10); err == nil; {
		_, err = conn.Write(chunk)
	}
	return seamtest.Close
}

// redirects responds with a redirect to another host, which must get no request.
func redirects(t *testing.T) func(net.Conn) seamtest.Then {
	t.Helper()
	decoy := seamtest.New(t, seamtest.Fault{Accept: func(*seamtest.Upstream, net.Conn) { t.Error("a redirect was followed") }})
	return seamtest.Say(seamtest.Response("307 Elsewhere", "", "Location: "+decoy.URL+"/client_sessions/get"), seamtest.KeepOpen)
}

// bomb is 64 KiB that unpack to a valid response and 64 MiB of white space.
var bomb = sync.OnceValue(func() string {
	pack := func(text string) string {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return packed.String()
	}
	return pack(`{"ok":true}`) + strings.Repeat(pack(strings.Repeat(" ", 1<<20)), 1<<6)
})

// What an upstream does with a stream of HTTP/2.

// goesAway sends a GOAWAY by which the request was not processed.
func goesAway(s seamtest.Stream) seamtest.Then {
	_ = s.WriteGoAway(max(s.ID, 2)-2, http2.ErrCodeNo, nil)
	return seamtest.KeepOpen
}

func closesUnderStream(seamtest.Stream) seamtest.Then { return seamtest.Close }

func hangsStream(seamtest.Stream) seamtest.Then { return seamtest.HangStream }

func resetsBody(s seamtest.Stream) seamtest.Then {
	s.Head("200")
	_ = s.WriteData(s.ID, false, []byte(goodResponse[:len(goodResponse)-20]))
	return s.Reset(http2.ErrCodeInternal)
}

// interimStorm sends more early hints than any client accepts.
func interimStorm(s seamtest.Stream) seamtest.Then {
	for range 2500 {
		s.Head("103")
	}
	return seamtest.KeepOpen
}

// startUpstream starts an upstream with a fault, which does not inject it yet. It checks the headers of each request.
func startUpstream(t *testing.T, fault seamtest.Fault) *seamtest.Upstream {
	t.Helper()
	u := seamtest.New(t, fault)
	u.Good = goodResponse
	u.OnRequest = func(_ string, header http.Header) {
		if got := fmt.Sprint(header["Authorization"]); got != "[Bearer "+sandbox.APIKey+"]" {
			t.Errorf("a request came with the credentials %s", got)
		}
		if coding := header.Get("Accept-Encoding"); coding != "" {
			t.Errorf("a request asks for responses in %s, which can be bombs", coding)
		}
	}
	u.Heal()
	return u
}
