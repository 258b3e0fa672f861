package seam

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestMoveIsFollowed shows that when Seam moves to another address, while both the old and the new one respond, as is
// usual, nothing fails, and soon all calls go to the new one. Linux has all addresses of 127.0.0.0/8.
func TestMoveIsFollowed(t *testing.T) {
	const older, newer = 1, 2
	var host atomic.Int32
	host.Store(older)
	seamtest.Resolve(t, func(string) ([4]byte, dnsmessage.RCode) {
		return [4]byte{127, 0, 0, byte(host.Load())}, dnsmessage.RCodeSuccess
	})
	var requests [newer + 1]atomic.Int32 // By the last byte of the address to which they came.
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		requests[address.IP.To4()[3]].Add(1)
		responding(200, seamtest.Success)(w, r)
	}))
	_ = u.Listener.Close()
	var err error
	if u.Listener, err = net.Listen("tcp4", ":0"); err != nil {
		t.Fatal(err)
	}
	u.StartTLS()
	defer u.Close()
	_, port, _ := net.SplitHostPort(u.Listener.Addr().String())
	client := newClient(t, "https://seam.example.com:"+port, func(c *Config) { c.MaxConnectionAge = 100 * time.Millisecond })
	grant := func() {
		if _, _, err := call(t.Context(), client, GrantAccess()); err != nil {
			t.Fatal(err, err.Cause)
		}
	}
	if grant(); requests[older].Load() != 1 {
		t.Fatal("the request did not come to the first address")
	}
	host.Store(newer)
	seamtest.Eventually(t, "a request to the new address", func() bool { grant(); return requests[newer].Load() > 0 })
	before := requests[older].Load()
	for range 10 {
		grant()
	}
	if n := requests[older].Load() - before; n != 0 {
		t.Errorf("%d requests went to the old address after the change", n)
	}
	seamtest.Eventually(t, "the old connection to be closed", func() bool { return value(t, client.metrics.open[protocolHTTP1]) == 1 })
}
