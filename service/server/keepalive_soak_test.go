//go:build soak

package server_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestServicePings shows that the service pings a client that is silent, and closes the connection of one that is gone.
func TestServicePings(t *testing.T) {
	h := startWithCredential(t)
	c := h.h2(t)
	defer c.Close()
	began, pinged := time.Now(), time.Duration(0)
	_ = c.SetDeadline(began.Add(2 * time.Minute))
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			break
		}
		if _, ok := frame.(*http2.PingFrame); ok && pinged == 0 {
			pinged = time.Since(began)
		}
	}
	if closed := time.Since(began); pinged == 0 || pinged > 45*time.Second || closed > 70*time.Second {
		t.Errorf("pinged after %s, closed after %s", pinged, closed)
	}
}
