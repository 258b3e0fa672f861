//go:build fleet

package soak_test

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// network is what is between Envoy and a replica. When it is cut, every packet from Envoy is dropped, as by a firewall or
// a broken switch: connections get neither a response nor an acknowledgement nor a reset, and no new one is made.
type network struct {
	t *testing.T

	mu    sync.Mutex
	open  []syscall.Conn // listeners, and connections from Envoy
	close []io.Closer
}

// connect listens on an address and forwards each connection to another.
func (n *network) connect(address, to string) {
	n.t.Helper()
	// Not Multipath TCP, which Go's listeners have by default: its sockets take no filter.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.add(listener.(*net.TCPListener), listener)
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			n.add(from.(*net.TCPConn), from, upstream)
			go forward(upstream, from)
			go forward(from, upstream)
		}
	}()
}

// forward copies what comes from one side. The end of one direction is that of both.
func forward(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func (n *network) add(socket syscall.Conn, closers ...io.Closer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open, n.close = append(n.open, socket), append(n.close, closers...)
}

// cut drops all packets from now on, and mend no more. The kernel does it: a filter of each socket accepts nothing.
func (n *network) cut() {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	n.each(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	})
}

func (n *network) mend() {
	n.each(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
}

func (n *network) each(set func(fd int) error) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, socket := range n.open {
		raw, err := socket.SyscallConn()
		if err != nil {
			n.t.Fatal(err)
		}
		// A connection that was closed meanwhile has no socket any more.
		_ = raw.Control(func(fd uintptr) {
			if err := set(int(fd)); err != nil {
				n.t.Errorf("filter packets: %v", err)
			}
		})
	}
}

// end closes everything.
func (n *network) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, closer := range n.close {
		_ = closer.Close()
	}
}
