//go:build fleet

package soak_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server that gives the addresses of the replicas, as that of Kubernetes does for a headless Service.
// Any other name is this machine.
type nameServer struct {
	conn net.PacketConn

	mu        sync.Mutex
	addresses []netip.Addr
}

func startNames(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-served
	})
	return s
}

func (s *nameServer) add(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = append(s.addresses, netip.MustParseAddr(address))
}

func (s *nameServer) remove(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = slices.DeleteFunc(s.addresses, func(a netip.Addr) bool { return a.String() == address })
}

func (s *nameServer) serve() {
	buffer := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if response, err := s.response(buffer[:n]); err == nil {
			_, _ = s.conn.WriteTo(response, from)
		}
	}
}

func (s *nameServer) response(request []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(request); err != nil {
		return nil, err
	}
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, question := range message.Questions {
		if question.Type != dnsmessage.TypeA {
			continue
		}
		addresses := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		if strings.HasPrefix(question.Name.String(), "client-session-service-headless.") {
			addresses = s.addresses
		}
		for _, address := range addresses {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return message.Pack()
}
