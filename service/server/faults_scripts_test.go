package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What an upstream does with a connection.

func silent(s *faultyUpstream, conn net.Conn) { s.hold(conn) }

// deaf reads nothing as long as it is broken, and then to the end, to see that the service has left.
func deaf(s *faultyUpstream, conn net.Conn) {
	<-s.healed
	s.hold(conn)
}

func inPlain(_ *faultyUpstream, conn net.Conn) {
	_, _ = io.WriteString(conn, reply("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"))
}

func asStranger(s *faultyUpstream, conn net.Conn) {
	secured := tls.Server(conn, selfSigned(s.t))
	if secured.Handshake() != nil {
		return
	}
	if request, err := http.ReadRequest(bufio.NewReader(secured)); err == nil {
		s.t.Errorf("a stranger was told %v", request.Header)
	}
}

// What an upstream does with a request.

// then is what becomes of the connection when everything has been said.
type then func(*faultyUpstream, net.Conn) bool

func lives(*faultyUpstream, net.Conn) bool { return true }

func closes(*faultyUpstream, net.Conn) bool { return false }

func resets(_ *faultyUpstream, conn net.Conn) bool {
	_ = conn.(*wire).SetLinger(0) // Makes Close send a reset.
	return false
}

func holds(s *faultyUpstream, conn net.Conn) bool {
	s.hold(conn)
	return false
}

func says(text string, end then) func(*faultyUpstream, net.Conn) bool {
	return func(s *faultyUpstream, conn net.Conn) bool {
		_, _ = io.WriteString(conn, text) // The service may have had enough of it.
		return end(s, conn)
	}
}

// drips says the first text at once and the second one byte by byte, until nobody listens.
func drips(atOnce, text string) func(*faultyUpstream, net.Conn) bool {
	return func(_ *faultyUpstream, conn net.Conn) bool {
		_, err := io.WriteString(conn, atOnce)
		for i := 0; i < len(text) && err == nil; i++ {
			time.Sleep(20 * time.Millisecond) // It is the fault, and not there to wait for something.
			_, err = io.WriteString(conn, text[i:i+1])
		}
		return false
	}
}

func endlessBody(_ *faultyUpstream, conn net.Conn) bool {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
	for chunk := bytes.Repeat([]byte("0,"), 32<<10); err == nil; {
		_, err = conn.Write(chunk)
	}
	return false
}

// redirects points to a host that nobody may follow to.
func redirects(code int) func(*faultyUpstream, net.Conn) bool {
	return func(s *faultyUpstream, conn net.Conn) bool {
		location := "Location: http://" + s.decoy() + "/client_sessions/get"
		_, _ = io.WriteString(conn, reply(fmt.Sprint(code, " Elsewhere"), "", location))
		return true
	}
}

func reply(status, body string, header ...string) string {
	header = append(header, fmt.Sprint("Content-Length: ", len(body)))
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n" + body
}

// bomb is 1 MiB that unfolds to a good response and 1 GiB of white space.
var bomb = sync.OnceValue(func() string {
	pack := func(text string) string {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return packed.String()
	}
	return pack(`{"ok":true}`) + strings.Repeat(pack(strings.Repeat(" ", 1<<20)), 1<<10)
})

// selfSigned returns the configuration of a server whose certificate nobody vouches for but itself.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
