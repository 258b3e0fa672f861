package interceptor_test

import (
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
)

// maxAllocations is how many allocations the log, the metrics and the ids may add to a call.
const maxAllocations = 15

// TestObservationAllocates shows what a call costs more for its line in the log, its metrics and its ids, while it is not
// traced: 8 allocations. The race detector makes pools forget, so that it counts some 14.
func TestObservationAllocates(t *testing.T) {
	discard := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // The line has to be written.
	bare := respond("response", nil)
	observed := interceptor.Bind([]grpc.UnaryServerInterceptor{
		interceptor.RequestID,
		interceptor.AccessLog(discard, nil, servedService()),
		interceptor.Metrics(prometheus.NewRegistry(), servedService()),
	}, info(), bare)
	for _, face := range []string{callinfo.FaceGRPC, callinfo.FaceREST} {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}})
		md := metadata.Pairs("authorization", "Bearer seam_x", "user-agent", "test")
		allocations := func(handler grpc.UnaryHandler) float64 {
			return testing.AllocsPerRun(1000, func() {
				// Each call has a record and a transport, whatever is observed.
				call := callinfo.Call{
					Face: face, Metadata: md, Caller: "orders", SeamRequestID: "seam-1", SeamStatus: 200, Attempts: 1,
				}
				ctx := grpc.NewContextWithServerTransportStream(callinfo.NewContext(ctx, &call), &stream{})
				if _, err := handler(ctx, nil); err != nil {
					t.Error(err)
				}
			})
		}
		without, with := allocations(bare), allocations(observed)
		t.Logf("%s: %v allocations with the steps, %v without", face, with, without)
		if with-without > maxAllocations {
			t.Errorf("%s: the steps add %v allocations, want %d at the most", face, with-without, maxAllocations)
		}
	}
}

// stream is the transport of a call.
type stream struct{ header metadata.MD }

func (*stream) Method() string                   { return method }
func (s *stream) SetHeader(md metadata.MD) error { s.header = md; return nil }
func (*stream) SendHeader(metadata.MD) error     { return nil }
func (*stream) SetTrailer(metadata.MD) error     { return nil }
