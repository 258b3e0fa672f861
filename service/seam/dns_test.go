package seam_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolving has the process ask a name server of the test's, which gives every name the address that stands in at.
func resolving(t *testing.T, at *atomic.Pointer[[4]byte]) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packet := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			if question := m.Questions[0]; question.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 3600},
					Body:   &dnsmessage.AResource{A: *at.Load()},
				}}
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = server.Close()
		<-ended
	})
}

// Seam moves to another address while both the old and the new one respond, as is usual: nothing fails, and all calls
// go to the new one soon.
func TestMoveIsFollowed(t *testing.T) {
	var at atomic.Pointer[[4]byte]
	at.Store(&[4]byte{127, 0, 0, 1})
	resolving(t, &at)

	older, olderClosed := closing(t, false, answering(200, success))
	_, port, _ := net.SplitHostPort(older.Listener.Addr().String())
	listener, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("this machine has no second address: %v", err)
	}
	newer := &upstream{}
	newer.Server = newer.unstarted(answering(200, success))
	_ = newer.Listener.Close()
	newer.Listener = listener
	newer.Start()
	t.Cleanup(newer.Close)

	client := newClient(t, strings.Replace(older.URL, "127.0.0.1", "seam.invalid", 1), changing)
	for range 3 {
		if _, _, err := grant(t.Context(), t, client); err != nil {
			t.Fatal(err, err.Cause)
		}
	}
	if older.requests.Load() != 3 || newer.requests.Load() != 0 {
		t.Fatalf("%d requests went to the old address, %d to the new one", older.requests.Load(), newer.requests.Load())
	}
	at.Store(&[4]byte{127, 0, 0, 2})
	untilChanged(t, newer, client)
	before := older.requests.Load()
	for range 10 {
		grant(t.Context(), t, client)
	}
	if n := older.requests.Load() - before; n != 0 {
		t.Errorf("%d requests went to the old address after the change", n)
	}
	eventually(t, "the old connection to be closed", func() bool { return olderClosed.Load() == 1 })
}
