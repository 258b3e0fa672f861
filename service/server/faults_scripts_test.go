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

	"golang.org/x/net/http2"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// goodResponse has the token of a session, which must come out in the response alone. halfResponse is cut off after it.
const (
	halfResponse = `{"client_session":{"client_session_id":"` + sandbox.SessionID + `","token":"` + sandbox.SessionToken
	goodResponse = halfResponse + `"},"ok":true}`
)

// What an upstream does with a connection.

// deaf reads nothing after the handshake as long as the fault lasts, and then to the end, to see that the service has
// closed the connection.
func deaf(u *seamtest.Upstream, conn net.Conn) {
	if _, err := u.Secure(conn); err == nil {
		<-u.Healed()
		seamtest.HangOn(u, conn)
	}
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

// redirect is to another host, which must get no request.
func redirect(t *testing.T) seamtest.Reply {
	t.Helper()
	decoy := seamtest.New(t, seamtest.Fault{TLS: true, Accept: func(*seamtest.Upstream, net.Conn) { t.Error("a redirect was followed") }})
	return seamtest.Reply{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {decoy.URL + "/client_sessions/get"}}}
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

// resetsStream ends a stream with an error, and not its connection.
func resetsStream(code http2.ErrCode) func(seamtest.Stream) seamtest.Then {
	return func(s seamtest.Stream) seamtest.Then { return s.Reset(code) }
}

func resetsStreamInBody(s seamtest.Stream) seamtest.Then {
	seamtest.Reply{Status: http.StatusOK, Body: halfResponse, Then: seamtest.Hang}.OverHTTP2(s)
	return s.Reset(http2.ErrCodeInternal)
}

// startUpstream starts an upstream over TLS with a fault, which does not inject it yet. It checks the headers of each
// request.
func startUpstream(t *testing.T, fault seamtest.Fault) *seamtest.Upstream {
	t.Helper()
	fault.TLS = true
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
