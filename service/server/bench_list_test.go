package server_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// BenchmarkList measures a list of 10,000 sessions over each face: the time of the process's processors for each
// session, and the most memory that the process had, both including Seam and a caller that discards the response. The
// floor is that caller and Seam without the service between them.
func BenchmarkList(b *testing.B) {
	const sessions = 10_000
	one, _, _ := strings.Cut(strings.TrimPrefix(seamResponse, `{"client_session":`), `,"ok":true}`)
	for _, test := range []struct{ name, members string }{
		{"known", ""}, {"unknown text", `,"new":"text"`}, {"unknown object", `,"new":{"a":["b",1]}`},
	} {
		session := strings.TrimSuffix(one, "}") + test.members + "}"
		response := `{"client_sessions":[` + strings.Repeat(session+",", sessions-1) + session + `],"ok":true}`
		ctx, s, seam := benchService(b, response)
		conn, err := grpc.NewClient(s.Addresses().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(len(response)), grpc.ForceCodecV2(unread{})))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		out := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+sandbox.APIKey)
		measureList(b, test.name+"/floor", sessions, func() error { return getList(ctx, seam.Client(), seam.URL) })
		measureList(b, test.name+"/grpc", sessions, func() error {
			return conn.Invoke(out, clientsessionv1.ClientSessionService_List_FullMethodName, nil, nil)
		})
		measureList(b, test.name+"/rest", sessions, func() error { return getList(ctx, seam.Client(), "http://"+s.Addresses().HTTP) })
	}
}

// measureList runs one call at a time.
func measureList(b *testing.B, name string, sessions int, call func() error) {
	b.Run(name, func(b *testing.B) {
		runtime.GC()
		peak, stop := make(chan uint64), make(chan struct{})
		go func() { peak <- peakMemory(stop) }()
		before := cpu(b)
		for b.Loop() {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N*sessions)/1e3, "cpu-us/session")
		close(stop)
		b.ReportMetric(float64(<-peak)/(1<<20), "peak-MiB")
	})
}

// peakMemory returns the most memory that the process had until stop: what it took of the system and did not give back.
func peakMemory(stop <-chan struct{}) uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	var peak uint64
	for {
		metrics.Read(samples)
		peak = max(peak, samples[0].Value.Uint64()-samples[1].Value.Uint64())
		select {
		case <-stop:
			return peak
		case <-time.After(time.Millisecond):
		}
	}
}

func getList(ctx context.Context, client *http.Client, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/client_sessions/list", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// unread is the codec of a caller that sends a request without parameters and does not look at the response.
type unread struct{}

func (unread) Name() string                         { return "proto" }
func (unread) Marshal(any) (mem.BufferSlice, error) { return nil, nil }
func (unread) Unmarshal(mem.BufferSlice, any) error { return nil }
