package server

import (
	"net"
	"time"

	"github.com/clientsession/client-session-service/service/config"
)

// streamGrace is how long the streams of a server that drains go on: long enough for those who watch its health to
// hear of it.
const streamGrace = 200 * time.Millisecond

// defaultStreamLifetime is how long a stream lasts where connections have no age.
const defaultStreamLifetime = 5 * time.Minute

// streamLifetime is how long a stream may last: as long as a connection, whose end ends it anyway.
func streamLifetime(cfg config.Config) time.Duration {
	if cfg.MaxConnectionAge > 0 {
		return cfg.MaxConnectionAge
	}
	return defaultStreamLifetime
}

// onLoopback says whether an address is one that only this machine reaches.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
