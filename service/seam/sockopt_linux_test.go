package seam

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Connections whose other end is gone have to be found out by the kernel, which otherwise takes a quarter of an hour.
func TestSocketOptions(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	transport := newTransport(nil, 7, newMetrics(prometheus.NewRegistry(), nil, nil, nil, nil))
	opened, err := transport.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	raw, err := opened.(*connection).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]struct{ level, option, want int }{
		"TCP_USER_TIMEOUT, ms": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 10_000},
		"SO_KEEPALIVE":         {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE, s":      {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 5},
		"TCP_KEEPINTVL, s":     {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2},
		"TCP_KEEPCNT":          {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		"TCP_NODELAY":          {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		var got int
		var failed error
		err := raw.Control(func(descriptor uintptr) {
			got, failed = unix.GetsockoptInt(int(descriptor), option.level, option.option)
		})
		if err != nil || failed != nil || got != option.want {
			t.Errorf("%s is %d, want %d (%v, %v)", name, got, option.want, err, failed)
		}
	}
	if transport.MaxIdleConnsPerHost != 7 || transport.MaxIdleConns != 7 || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("the transport is %+v", transport)
	}
}
