package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// unreadBytes is the length of a request that never arrives completely: the maximum of the service.
const unreadBytes = 128 << 10

// TestUnreadRequests shows that requests which never arrive completely cost the service little, with or without a
// credential, that other calls succeed meanwhile, that the service recovers after their timeout, and that the log and
// the metrics show it.
func TestUnreadRequests(t *testing.T) {
	s := startService(t, "--max-in-flight=16")
	s.grantOverBoth(t) // What the first call allocates is not the clients'.
	before := s.metric(t, "process_resident_memory_bytes")

	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { unreadStreams(ctx, t, s.GRPC, 1000) })
	}
	for range 1000 {
		clients.Go(func() { unreadBody(ctx, s.HTTP) })
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
		peak = max(peak, s.metric(t, "process_resident_memory_bytes"))
		streams = max(streams, s.metric(t, "client_session_service_grpc_streams"))
		goroutines = max(goroutines, s.metric(t, "go_goroutines"))
	}
	ended := time.Now()
	clients.Wait()
	back := func() bool {
		return s.metric(t, "client_session_service_requests_arriving") == 0 &&
			s.metric(t, "client_session_service_request_buffer_bytes") == 0 &&
			s.metric(t, "client_session_service_grpc_streams") == 0
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
	// collector and the machine, so the bound is wider; without the limits it is more than a gigabyte.
	if peak-before > 128<<20 {
		t.Errorf("the clients cost %.0f MiB", (peak-before)/(1<<20))
	}
	if failed*20 > len(took) {
		t.Errorf("%d of %d good calls failed", failed, len(took))
	}
	if cut := s.metric(t, `client_session_service_refused_total{limit="request_buffer"}`); cut < 500 {
		t.Errorf("the metrics count %v requests that were cut off", cut)
	}
	log := s.stop(t)
	if n := strings.Count(log, `"msg":"requests are cut off while they arrive"`); n < 1 || n > 3 {
		t.Errorf("%d lines say that requests are cut off", n)
	}
}

// unreadStreams opens streams that lack one byte each.
func unreadStreams(ctx context.Context, t *testing.T, address string, streams int) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	framer := http2.NewFramer(connection, bufio.NewReader(connection))
	_, _ = io.WriteString(connection, http2.ClientPreface)
	_ = framer.WriteSettings()
	var mu sync.Mutex
	window := map[uint32]int{0: 65535}
	more := sync.NewCond(&mu)
	go func() {
		for {
			frame, err := framer.ReadFrame()
			mu.Lock()
			if update, ok := frame.(*http2.WindowUpdateFrame); ok {
				window[update.StreamID] += int(update.Increment)
			}
			if reset, ok := frame.(*http2.RSTStreamFrame); ok {
				window[reset.StreamID] = -1 << 30
			}
			if err != nil {
				window[0] = 1 << 40 // The writer finds out by itself.
			}
			more.Broadcast()
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	left := map[uint32]int{}
	for i := range streams {
		id := uint32(2*i + 1)
		block.Reset()
		for _, field := range [][2]string{
			{":method", "POST"},
			{":scheme", "http"},
			{":path", "/seam.clientsession.v1.ClientSessionService/GrantAccess"},
			{":authority", "a"},
			{"content-type", "application/grpc"},
			{"te", "trailers"},
			{"authorization", fmt.Sprint("Bearer seam_unknown", i)},
		} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}) != nil {
			return
		}
		_ = framer.WriteData(id, false, []byte{0, 0, unreadBytes >> 16, 0, 0})
		mu.Lock()
		window[id] += 65535
		mu.Unlock()
		left[id] = unreadBytes - 1
	}
	chunk := make([]byte, 16<<10)
	for ctx.Err() == nil {
		sent := false
		for id, bytes := range left {
			mu.Lock()
			for window[0] < len(chunk) && ctx.Err() == nil {
				more.Wait()
			}
			n := min(bytes, len(chunk), window[id])
			if n > 0 {
				window[0] -= n
				window[id] -= n
			}
			mu.Unlock()
			if n <= 0 {
				continue
			}
			sent = true
			left[id] -= n
			if framer.WriteData(id, false, chunk[:n]) != nil {
				return
			}
		}
		if !sent {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// unreadBody sends a request over REST whose body lacks a byte, and waits for the response.
func unreadBody(ctx context.Context, address string) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return // There are as many as there may be.
	}
	defer connection.Close()
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	go func() {
		_, _ = fmt.Fprintf(connection, "POST /client_sessions/grant_access HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer seam_unknown\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", unreadBytes)
		_, _ = connection.Write(make([]byte, unreadBytes-1))
	}()
	_, _ = io.Copy(io.Discard, connection)
}

// service is the running binary: the service, or the sandbox alone.
type service struct {
	GRPC, HTTP, Admin, Seam string
	conn                    *grpc.ClientConn
	// stop ends it in good order and returns its log.
	stop  func(t *testing.T) string
	calls int
}

// startService starts the service in front of a sandbox, which it reaches over TLS.
func startService(t *testing.T, args ...string) *service {
	t.Helper()
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	seam := startBinary(t, command(t, build(t), "sandbox", "--listen=127.0.0.1:0", "--write-ca-file="+trusted))
	cmd := command(t, build(t), append(args, "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--seam-endpoint="+seam.Seam, "--seam-ca-file="+trusted, "--drain-delay=0s")...)
	cmd.Env = append(cmd.Env, "GOMEMLIMIT=96MiB") // As docs/reliability.md tells operators to set it.
	s := startBinary(t, cmd)
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	stop := s.stop
	s.stop = func(t *testing.T) string {
		t.Helper()
		_ = conn.Close()
		log := stop(t)
		seam.stop(t)
		return log
	}
	return s
}

// startBinary returns when the binary is ready.
func startBinary(t *testing.T, cmd *exec.Cmd) *service {
	t.Helper()
	lines := bufio.NewScanner(begin(t, cmd))
	lines.Buffer(nil, 1<<20)
	s := &service{}
	ready := false
	for !ready && lines.Scan() {
		var line struct{ Msg string }
		_ = json.Unmarshal(lines.Bytes(), &line)
		if ready = line.Msg == "ready"; ready {
			_ = json.Unmarshal(lines.Bytes(), s)
		}
	}
	var log strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
		}
	}()
	s.stop = func(t *testing.T) string {
		t.Helper()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if code := exitCode(t, cmd.Wait()); code != 0 {
			t.Errorf("exit code %d", code)
		}
		return log.String()
	}
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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTP+"/client_sessions/grant_access",
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

// metric returns the value of a time series, 0 when there is none.
func (s *service) metric(t *testing.T, series string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
