package server_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestSettingsOfGRPC shows what a client may send on a gRPC connection before the service reads it. A window that grew
// with the bandwidth would give each stream megabytes.
func TestSettingsOfGRPC(t *testing.T) {
	h := startWithCredential(t)
	c := h.h2(t)
	defer c.Close()
	got := map[string]uint32{}
	for got["connection"] == 0 {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			_ = frame.ForeachSetting(func(s http2.Setting) error {
				got[s.ID.String()] = s.Val
				return nil
			})
		case *http2.WindowUpdateFrame:
			got["connection"] = frame.Increment
		}
	}
	want := map[string]uint32{
		"MAX_CONCURRENT_STREAMS": 100, "INITIAL_WINDOW_SIZE": 64 << 10, "MAX_HEADER_LIST_SIZE": 32 << 10,
		"MAX_FRAME_SIZE": 16 << 10, "connection": 4*64<<10 - (64<<10 - 1),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("settings are %v, want %v", got, want)
	}
}

// TestClientsMayPing shows that a client may ping every five seconds without a call, as some libraries do: by default
// grpc-go closes their connections. A client that pings all the time loses its connection.
func TestClientsMayPing(t *testing.T) {
	t.Parallel() // It waits between the pings.
	h := startWithCredential(t)
	for name, client := range map[string]struct {
		pings    int
		interval time.Duration
		goAway   bool
	}{
		"every five seconds": {4, 5100 * time.Millisecond, false},
		"all the time":       {10, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := h.h2(t)
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			for acknowledged, sent := 0, 0; acknowledged < client.pings; {
				for ; sent == acknowledged || client.interval == 0 && sent < client.pings; sent++ {
					time.Sleep(client.interval)
					_ = c.WritePing(false, [8]byte{})
				}
				frame, err := c.ReadFrame()
				if err != nil {
					t.Fatalf("after %d pings: %v", acknowledged, err)
				}
				switch frame := frame.(type) {
				case *http2.PingFrame:
					if frame.IsAck() {
						acknowledged++
					}
				case *http2.GoAwayFrame:
					if !client.goAway || frame.ErrCode != http2.ErrCodeEnhanceYourCalm {
						t.Errorf("after %d pings the service says %v", acknowledged, frame)
					}
					return
				}
			}
			if client.goAway {
				t.Error("the connection lasts")
			}
		})
	}
}
