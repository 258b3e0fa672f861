package seamtest

import (
	"context"
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolve has the process ask a name server of its own until the test ends. The function is asked for the IPv4 address
// of a name; any other code than success is the response.
func Resolve(t testing.TB, lookup func(name string) ([4]byte, dnsmessage.RCode)) {
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
			if response := resolve(packet[:n], lookup); response != nil {
				_, _ = server.WriteTo(response, from)
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

// resolve is the response to a question, nil where it is none.
func resolve(packet []byte, lookup func(name string) ([4]byte, dnsmessage.RCode)) []byte {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	question := m.Questions[0]
	address, code := lookup(question.Name.String())
	m.RCode = code
	if code == dnsmessage.RCodeSuccess && question.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 3600},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	response, err := m.Pack()
	if err != nil {
		return nil
	}
	return response
}
