package server

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestFailedHandshakeIsOneShortLine shows that no text of a client in a handshake is logged, over either face:
// crypto/tls quotes the names of protocols that it does not know, which can be 50 KB.
func TestFailedHandshakeIsOneShortLine(t *testing.T) {
	dir := t.TempDir()
	authority := seamtest.NewAuthority(t, "authority")
	writePair(t, dir, authority)
	r := startTLS(t, tlsConfig(dir))
	config := authority.Client(t, nil)
	for range 200 {
		config.NextProtos = append(config.NextProtos, "offered"+strings.Repeat("x", 240))
	}
	for _, address := range []string{r.grpc, r.http} {
		if connection, err := tls.Dial("tcp", address, config); err == nil {
			t.Error("the handshake succeeds")
			_ = connection.Close()
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for strings.Count(r.logged(), "\n") < 2 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(r.logged()), "\n")
	if len(lines) != 2 {
		t.Errorf("%d lines: %.1000s", len(lines), r.logged())
	}
	for _, line := range lines {
		if len(line) > 400 || strings.Contains(line, "offered") {
			t.Errorf("a line of %d bytes: %.1000s", len(line), line)
		}
	}
}
