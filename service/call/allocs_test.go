package call

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// maxAllocations is how many allocations the log, the metrics and the ids may add to a call.
const maxAllocations = 15

// TestObservationAllocates shows what a call costs more for its line in the log, its metrics and its ids, while it is
// not traced. The race detector makes pools forget, so that it counts more.
func TestObservationAllocates(t *testing.T) {
	discard := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // The line has to be written.
	log := newAccessLog(discard, nil, servedService())
	metrics := newMetrics(prometheus.NewRegistry(), servedService())
	method, from := &Method{FullMethod: method}, peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}}
	md := metadata.Pairs("authorization", "Bearer seam_x", "user-agent", "test")
	for _, face := range []string{FaceGRPC, FaceREST} {
		allocations := testing.AllocsPerRun(1000, func() {
			c := Call{
				Face: face, Method: method, Peer: from, Metadata: md,
				Caller: "orders", SeamRequestID: "seam-1", SeamStatus: 200, Attempts: 1,
			}
			c.setID()
			started := time.Now()
			metrics.start(&c)
			c.ResponseMetadata(c.withIDs(nil))
			metrics.end(t.Context(), &c, started, nil)
			log.write(t.Context(), &c, started, nil)
		})
		t.Logf("%s: %v allocations", face, allocations)
		if allocations > maxAllocations {
			t.Errorf("%s: %v allocations, want %d at the most", face, allocations, maxAllocations)
		}
	}
}
