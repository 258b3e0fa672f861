//go:build soak

package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestAttackSoak tries all of the attacks again and again on one real process, with good calls beside them all the
// time, which must succeed. In the end the process has no more of anything than it had.
func TestAttackSoak(t *testing.T) {
	soakTime, err := time.ParseDuration(os.Getenv("SOAK_TIME"))
	if err != nil {
		t.Fatalf("SOAK_TIME: %v", err)
	}
	h := startProcessWithCredential(t)
	h.check(t)
	round := func() {
		for _, a := range attacks() {
			a.send(t, h)
		}
	}
	round() // What the first of each kind allocates is not a leak.
	settle := func() (goroutines, descriptors, memory float64) {
		h.http.CloseIdleConnections()
		time.Sleep(time.Minute) // Connections to Seam are idle for 55 seconds before they are closed.
		return h.metric(t, "go_goroutines"), h.metric(t, "process_open_fds"), h.metric(t, "process_resident_memory_bytes")
	}
	goroutines, descriptors, memory := settle()

	ctx, cancel := context.WithTimeout(t.Context(), soakTime)
	defer cancel()
	var took []time.Duration
	failed := 0
	h.beside = 1
	var good sync.WaitGroup
	good.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			// The last call is not cut off: it would look like one that fails.
			if err := h.goodCall(t.Context(), len(took)%2 == 0); err == nil {
				took = append(took, time.Since(began))
			} else {
				failed++
				t.Log(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	peak, rounds := memory, 0
	for ; ctx.Err() == nil; rounds++ {
		round()
		peak = max(peak, h.metric(t, "process_resident_memory_bytes"))
	}
	good.Wait()
	afterGoroutines, afterDescriptors, afterMemory := settle()
	slices.Sort(took)
	t.Logf("%d rounds of %d attacks in %s; %d good calls, %d failed, p50 %s, p99 %s, slowest %s",
		rounds, len(attacks()), soakTime, len(took), failed, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	t.Logf("goroutines %.0f -> %.0f, descriptors %.0f -> %.0f, memory %.0f -> %.0f MiB, at most %.0f",
		goroutines, afterGoroutines, descriptors, afterDescriptors, memory/(1<<20), afterMemory/(1<<20), peak/(1<<20))
	if failed > 0 {
		t.Errorf("%d good calls failed", failed)
	}
	if afterGoroutines > goroutines+5 || afterDescriptors > descriptors+5 {
		t.Error("something is left")
	}
	if panics := h.metric(t, "client_session_service_panics_total"); panics != 0 {
		t.Errorf("%v panics", panics)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	h.noSecret(t, "the log", h.log.String())
}

// goodCall makes a call that has to succeed.
func (h *credentialHarness) goodCall(ctx context.Context, overREST bool) error {
	if !overREST {
		_, err := h.client().GrantAccess(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+ordersToken), grantByID())
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.at.HTTP+grantPath, strings.NewReader(byID))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+ordersToken)
	response, err := h.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", response.Status, text)
	}
	return nil
}

// startProcessWithCredential is startWithCredential with the service in a process of its own.
func startProcessWithCredential(t *testing.T) *credentialHarness {
	t.Helper()
	seam := sandbox.New(sandbox.Options{})
	var cfg config.Config
	seamURL, client := server.StartSeam(t, seam, &cfg)
	file, sign := writeCallers(t, t.TempDir())
	command := servicetest.Command(t, append(servicetest.Listen(),
		"--seam-endpoint="+seamURL, "--seam-ca-file="+cfg.SeamCAFile, "--callers-file="+file, "--drain-delay=0s")...)
	command.Env = append(command.Env, "SEAM_API_KEY="+sandbox.APIKey)
	process := servicetest.Start(t, command)
	process.AwaitReady()
	h := &credentialHarness{harness: &harness{t: t, sandbox: seam, seamURL: seamURL, log: &logBuffer{}}, sign: sign, jobsToken: sign(nil)}
	h.at = server.Addresses(process.Addresses)
	h.http = &http.Client{Transport: client}
	var err error
	if h.conn, err = grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	h.stop = sync.OnceValue(func() error {
		_ = h.conn.Close()
		h.http.CloseIdleConnections()
		process.Stop()
		_, err := io.WriteString(h.log, process.Log())
		return err
	})
	t.Cleanup(func() { _ = h.stop() })
	return h
}
