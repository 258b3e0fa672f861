package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// faultyUpstream is an upstream of bare sockets, for what the sandbox cannot do. It answers well until it breaks, then
// plays its fault, and answers well again once it has healed.
type faultyUpstream struct {
	t       *testing.T
	fault   fault
	address string
	trusted *tls.Config
	caFile  string
	// good is the body of every good response.
	good string
	// elsewhere is another host, which must never hear of a call.
	elsewhere net.Listener
	// left gets the time at which the other end of a held connection has gone.
	left chan time.Time

	broken atomic.Bool
	// playing is how many connections and streams are in the middle of the fault, which ends when the service leaves.
	playing atomic.Int64
	healed  chan struct{}
	serves  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	open     map[*wire]bool
	seen     map[string]int // Requests by path, while it was broken.
	dials    int            // Connections, while it was broken.
	plain    strings.Builder
}

// wire is a connection that keeps what comes in, so that a test can tell what a stranger would have seen.
type wire struct {
	*net.TCPConn

	seam *faultyUpstream
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.TCPConn.Read(p)
	w.seam.mu.Lock()
	defer w.seam.mu.Unlock()
	w.seam.plain.Write(p[:n])
	return n, err
}

const goodAnswer = `{"client_session":{"client_session_id":"` + sandbox.SessionID + `","token":"` + sandbox.SessionToken + `"},"ok":true}`

func newFaultyUpstream(t *testing.T, f fault) *faultyUpstream {
	t.Helper()
	s := &faultyUpstream{
		t: t, fault: f, good: goodAnswer, healed: make(chan struct{}), left: make(chan time.Time, 100),
		open: map[*wire]bool{}, seen: map[string]int{},
	}
	if f.tls {
		s.trusted = selfSigned(t)
		s.trusted.NextProtos = []string{"http/1.1"}
		if f.stream != nil {
			s.trusted.NextProtos = []string{"h2"}
		}
		s.caFile = filepath.Join(t.TempDir(), "ca.pem")
		block := &pem.Block{Type: "CERTIFICATE", Bytes: s.trusted.Certificates[0].Certificate[0]}
		if err := os.WriteFile(s.caFile, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.elsewhere, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.serves.Go(func() {
		for {
			conn, err := s.elsewhere.Accept()
			if err != nil {
				return
			}
			t.Error("somebody followed a redirect")
			_ = conn.Close()
		}
	})
	s.listen("127.0.0.1:0")
	s.address = s.listener.Addr().String()
	t.Cleanup(func() {
		_ = s.listener.Close()
		_ = s.elsewhere.Close()
		s.hangUp()
		s.serves.Wait()
	})
	return s
}

// configure points the service at this upstream.
func (s *faultyUpstream) configure(cfg *config.Config) {
	scheme, host := "http://", s.address
	if s.fault.tls {
		scheme = "https://"
	}
	if s.fault.resolve != nil {
		_, port, _ := net.SplitHostPort(s.address)
		host = brokenName + ":" + port
	}
	cfg.SeamEndpoint, cfg.SeamCAFile = parseURL(s.t, scheme+host), s.caFile
}

func (s *faultyUpstream) listen(address string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	s.serves.Go(func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			conn := &wire{accepted.(*net.TCPConn), s}
			s.mu.Lock()
			s.open[conn] = true
			if s.broken.Load() {
				s.dials++
			}
			s.mu.Unlock()
			s.serves.Go(func() {
				s.serve(conn)
				_ = conn.Close()
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.open, conn)
			})
		}
	})
}

// fail begins the fault. Where it is one of the connection and not of the response, the connections that the service
// keeps are closed first, so that it needs new ones.
func (s *faultyUpstream) fail() {
	s.t.Helper()
	s.broken.Store(true)
	if s.fault.down {
		_ = s.listener.Close()
	}
	if s.fault.accept == nil && !s.fault.down && s.fault.resolve == nil {
		return
	}
	before := openFiles(s.t)
	closed := s.hangUp()
	eventually(s.t, 5*time.Second, "the service closes the connections that it kept", func() bool {
		return openFiles(s.t) <= before-2*closed // Both ends are in this process.
	})
}

// heal ends the fault.
func (s *faultyUpstream) heal() {
	s.t.Helper()
	s.broken.Store(false)
	close(s.healed)
	if s.fault.down {
		s.listen(s.address)
	}
}

// hangUp closes all connections and returns how many those were.
func (s *faultyUpstream) hangUp() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
	return len(s.open)
}

// serve plays one connection to its end.
func (s *faultyUpstream) serve(conn *wire) {
	if s.broken.Load() && s.fault.accept != nil {
		s.playing.Add(1)
		defer s.playing.Add(-1)
		s.fault.accept(s, conn)
		return
	}
	var stream net.Conn = conn
	if s.trusted != nil {
		secured := tls.Server(conn, s.trusted)
		if secured.Handshake() != nil {
			return
		}
		stream = secured
	}
	if s.fault.stream != nil {
		s.serveH2(stream)
		return
	}
	reader := bufio.NewReader(stream)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		if s.note(request.URL.Path, request.Header) {
			s.playing.Add(1)
			lives := s.fault.request(s, stream)
			s.playing.Add(-1)
			if !lives {
				return
			}
			continue
		}
		_, _ = fmt.Fprintf(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(s.good), s.good)
	}
}

// note takes down a request and says whether it meets the fault.
func (s *faultyUpstream) note(path string, header http.Header) bool {
	if got := header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+sandbox.APIKey {
		s.t.Errorf("a request came with the credentials %q", got)
	}
	if coding := header.Get("Accept-Encoding"); coding != "" {
		s.t.Errorf("a request asks for answers in %s, which can be bombs", coding)
	}
	if !s.broken.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[path]++
	return true
}

// requests is how many requests for a path met the fault.
func (s *faultyUpstream) requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[path]
}

// connections is how many connections were made while it was broken.
func (s *faultyUpstream) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// heard is every byte that came in so far, before any TLS was taken off.
func (s *faultyUpstream) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plain.String()
}

// decoy is where a broken Seam redirects to. A connection there fails the test.
func (s *faultyUpstream) decoy() string {
	return s.elsewhere.Addr().String()
}

// hold keeps a connection without a word until the other end has gone.
func (s *faultyUpstream) hold(conn net.Conn) {
	_, _ = io.Copy(io.Discard, conn)
	select {
	case s.left <- time.Now():
	default: // Nobody looks at so many.
	}
}
