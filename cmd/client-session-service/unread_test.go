package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// unreadBytes is the length of a request that never arrives completely: the maximum of the service.
const unreadBytes = 128 << 10

const (
	grantMethod = clientsessionv1.ClientSessionService_GrantAccess_FullMethodName
	grantPath   = "/client_sessions/grant_access"
)

// TestUnreadRequests shows that requests which never arrive completely cost the service little, with or without a
// credential, that other calls succeed meanwhile, that the service recovers after their timeout, and that the log and
// the metrics show it.
func TestUnreadRequests(t *testing.T) {
	s := startService(t, "--max-in-flight=16")
	s.grantOverBoth(t) // What the first call allocates is not the clients'.
	before := s.Metric("process_resident_memory_bytes")

	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	overGRPC := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	var clients sync.WaitGroup
	for i := range 1000 {
		header := http.Header{"Te": {"trailers"}, "Authorization": {fmt.Sprint("Bearer seam_unknown", i)}}
		clients.Go(func() {
			sendUnread(ctx, overGRPC, "http://"+s.GRPC+grantMethod, header, "application/grpc", "\x00\x00\x02\x00\x00")
		})
		clients.Go(func() {
			sendUnread(ctx, http.DefaultClient, "http://"+s.HTTP+grantPath, header, "application/json", "")
		})
	}
	peak, streams := before, 0.0
	var took []time.Duration
	failed, goroutines := 0, 0.0
	for ctx.Err() == nil {
		for range 5 {
			began := time.Now()
			if err := s.grant(ctx); ctx.Err() == nil && err != nil {
				t.Log(err)
				failed++
			} else {
				took = append(took, time.Since(began))
			}
			time.Sleep(20 * time.Millisecond)
		}
		peak = max(peak, s.Metric("process_resident_memory_bytes"))
		streams = max(streams, s.Metric("client_session_service_grpc_streams"))
		goroutines = max(goroutines, s.Metric("go_goroutines"))
	}
	ended := time.Now()
	clients.Wait()
	back := func() bool {
		return s.Metric("client_session_service_requests_arriving") == 0 &&
			s.Metric("client_session_service_request_buffer_bytes") == 0 &&
			s.Metric("client_session_service_grpc_streams") == 0
	}
	for !back() && time.Since(ended) < 30*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	if !back() {
		t.Error("requests are left in memory")
	}
	slices.Sort(took)
	t.Logf("memory %.0f -> %.0f MiB, %.0f streams and %.0f goroutines at once; %d good calls, %d failed, median %s, p99 %s; back after %s",
		before/(1<<20), peak/(1<<20), streams, goroutines, len(took), failed, took[len(took)/2], took[len(took)*99/100], time.Since(ended))
	// Some 80 MiB is usual with this GOMEMLIMIT, and some 120 without one. How far the heap overshoots depends on the
	// collector and the machine, so the bound is wider; without the limits it is some 300 MiB.
	if peak-before > 128<<20 {
		t.Errorf("the clients cost %.0f MiB", (peak-before)/(1<<20))
	}
	if failed*20 > len(took) {
		t.Errorf("%d of %d good calls failed", failed, len(took))
	}
	if cut := s.Metric(`client_session_service_refused_total{limit="request_buffer"}`); cut < 500 {
		t.Errorf("the metrics count %v requests that were cut off", cut)
	}
	s.Stop()
	if n := strings.Count(s.Log(), `"msg":"requests are cut off while they arrive"`); n < 1 || n > 3 {
		t.Errorf("%d lines say that requests are cut off", n)
	}
}

// sendUnread sends a request that lacks a byte, and waits for the response. The beginning of its body is given.
func sendUnread(
	ctx context.Context, client *http.Client, url string, header http.Header, contentType, beginning string,
) {
	body := &unreadBody{strings.NewReader(beginning + strings.Repeat("\x00", unreadBytes-1)), ctx.Done()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		panic(err)
	}
	request.ContentLength = int64(len(beginning)) + unreadBytes
	request.Header = header.Clone()
	request.Header.Set("Content-Type", contentType)
	if response, err := client.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}

// unreadBody is a body whose last byte does not come before the test is done.
type unreadBody struct {
	*strings.Reader

	done <-chan struct{}
}

func (b *unreadBody) Read(p []byte) (int, error) {
	if b.Len() == 0 {
		<-b.done
	}
	return b.Reader.Read(p)
}

// service is the service in front of a sandbox, and a client of each face.
type service struct {
	*servicetest.Process

	conn  *grpc.ClientConn
	calls int
}

func startService(t *testing.T, flags ...string) *service {
	t.Helper()
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	seam := servicetest.StartReady(t, "sandbox", "--listen=127.0.0.1:0", "--write-ca-file="+trusted)
	command := servicetest.Command(t, listen(append(flags, "--seam-endpoint="+seam.Seam, "--seam-ca-file="+trusted)...)...)
	command.Env = append(command.Env, "GOMEMLIMIT=96MiB") // As docs/reliability.md tells operators to set it.
	s := &service{Process: servicetest.Start(t, command)}
	s.AwaitReady()
	var err error
	if s.conn, err = grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// grant makes a valid call, over both faces in turn.
func (s *service) grant(ctx context.Context) error {
	if s.calls++; s.calls%2 == 0 {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+sandbox.APIKey)
		_, err := clientsessionv1.NewClientSessionServiceClient(s.conn).GrantAccess(ctx,
			&clientsessionv1.GrantAccessRequest{ClientSessionId: new(sandbox.SessionID)})
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTP+grantPath,
		strings.NewReader(`{"client_session_id":"`+sandbox.SessionID+`"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s %w", response.StatusCode, text, err)
	}
	return nil
}

func (s *service) grantOverBoth(t *testing.T) {
	t.Helper()
	for range 2 {
		if err := s.grant(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
