package seam_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// Seam moves to another address while both the old and the new one respond, as is usual: nothing fails, and all calls
// go to the new one soon.
func TestMoveIsFollowed(t *testing.T) {
	var at atomic.Pointer[[4]byte]
	at.Store(&[4]byte{127, 0, 0, 1})
	seamtest.Resolve(t, func(string) ([4]byte, dnsmessage.RCode) { return *at.Load(), dnsmessage.RCodeSuccess })

	older, olderClosed := closing(t, false, responding(200, seamtest.Success))
	_, port, _ := net.SplitHostPort(older.Listener.Addr().String())
	listener, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("this machine has no second address: %v", err)
	}
	newer := &upstream{}
	newer.Server = newer.unstarted(responding(200, seamtest.Success))
	_ = newer.Listener.Close()
	newer.Listener = listener
	newer.StartTLS()
	t.Cleanup(newer.Close)

	client := newClient(t, strings.Replace(older.URL, "127.0.0.1", "seam.example.com", 1), changing)
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
	seamtest.Eventually(t, "the old connection to be closed", func() bool { return olderClosed.Load() == 1 })
}
