package server

import (
	"net"
	"time"

	"github.com/clientsession/client-session-service/service/text"
)

// streamGrace is how long open streams last during the drain: long enough for health-watch streams to report it. They
// do not delay the shutdown further.
const streamGrace = 200 * time.Millisecond

// onLoopback reports whether an address is a loopback address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && text.IsLoopback(tcp.IP.String())
}
