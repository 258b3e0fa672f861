package server

import (
	"cmp"
	"net"
	"time"

	"github.com/clientsession/client-session-service/service/text"
)

// streamGrace is how long open streams last during the drain: long enough for health-watch streams to report it. They
// do not delay the shutdown further.
const streamGrace = 200 * time.Millisecond

// defaultStreamLifetime is the lifetime of a stream where connections have no maximum age.
const defaultStreamLifetime = 5 * time.Minute

// streamLifetime is the maximum lifetime of a stream: that of a connection, whose end ends the stream anyway.
func (s *Server) streamLifetime() time.Duration {
	return cmp.Or(s.cfg.MaxConnectionAge, defaultStreamLifetime)
}

// onLoopback reports whether an address is a loopback address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && text.IsLoopback(tcp.IP.String())
}
