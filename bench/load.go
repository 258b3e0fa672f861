package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// loadResult is the result of the load generator. Times are in microseconds.
type loadResult struct {
	Calls      int     `json:"calls"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error"`
	RPS        float64 `json:"rps"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
}

// runLoad is the load generator: a closed loop, in which each worker makes its next call when it has the response to
// the last. It warms up, waits until no call is in flight, reports that, and waits for a line of its input. So the
// driver can read the program's clocks before and after the measured calls while it is idle.
func runLoad(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	face := flags.String("face", "grpc", "grpc or rest")
	address := flags.String("address", "", "host:port to call")
	inFlight := flags.Int("in-flight", 1, "how many calls are in flight")
	warmUp := flags.Duration("warm-up", 0, "how long to warm up")
	duration := flags.Duration("duration", time.Second, "how long to measure")
	list := flags.Bool("list", false, "call List and not GrantAccess")
	authority := flags.String("ca", "", "speak TLS, with the certificate authority of this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var security *tls.Config
	if *authority != "" {
		text, err := os.ReadFile(*authority)
		if err != nil {
			return err
		}
		security = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool()}
		security.RootCAs.AppendCertsFromPEM(text)
	}
	calls := restCalls(*address, *inFlight, *list, security)
	if *face == "grpc" {
		var err error
		if calls, err = grpcCalls(*address, *inFlight, *list, security); err != nil {
			return err
		}
	}
	var warm loadResult
	if *warmUp > 0 {
		warm = closedLoop(ctx, calls, *warmUp)
	}
	if err := json.NewEncoder(os.Stderr).Encode(ready{Message: "ready"}); err != nil {
		return err
	}
	input := bufio.NewReader(stdin)
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	result := closedLoop(ctx, calls, *duration)
	result.Errors += warm.Errors
	result.FirstError = cmp.Or(warm.FirstError, result.FirstError)
	if err := json.NewEncoder(stdout).Encode(result); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, input) // Until the driver has read the result.
	return err
}

// closedLoop makes each of the calls over and over for that long, and once at least.
func closedLoop(ctx context.Context, calls []func(context.Context) error, duration time.Duration) loadResult {
	var result loadResult
	var latencies []time.Duration
	var mu sync.Mutex
	var workers sync.WaitGroup
	began := time.Now()
	deadline := began.Add(duration)
	for _, call := range calls {
		workers.Go(func() {
			var own []time.Duration
			var failures []error
			for at := time.Now(); len(own) == 0 || at.Before(deadline); {
				if err := call(ctx); err != nil {
					failures = append(failures, err)
				}
				now := time.Now()
				own = append(own, now.Sub(at))
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			result.Errors += len(failures)
			if len(failures) > 0 && result.FirstError == "" {
				result.FirstError = failures[0].Error()
			}
		})
	}
	workers.Wait()
	result.Calls = len(latencies)
	result.RPS = float64(len(latencies)) / time.Since(began).Seconds()
	slices.Sort(latencies)
	result.P50, result.P99 = microseconds(percentile(latencies, 50)), microseconds(percentile(latencies, 99))
	return result
}

// grpcConnections is over how many connections that many calls go: one has 64 at most, and there are a few clients.
func grpcConnections(inFlight int) int { return max(min(inFlight, 4), (inFlight+63)/64) }

func grpcCalls(address string, inFlight int, list bool, security *tls.Config) ([]func(context.Context) error, error) {
	transport := insecure.NewCredentials()
	if security != nil {
		transport = credentials.NewTLS(security)
	}
	calls := make([]func(context.Context) error, inFlight)
	stubs := make([]clientsessionv1.ClientSessionServiceClient, grpcConnections(inFlight))
	for i := range stubs {
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return nil, err
		}
		stubs[i] = clientsessionv1.NewClientSessionServiceClient(connection)
	}
	for i := range calls {
		stub := stubs[i%len(stubs)]
		calls[i] = func(ctx context.Context) error {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+apiKey)
			if list {
				response, err := stub.List(ctx, new(clientsessionv1.ListRequest))
				if err == nil && len(response.GetClientSessions()) == 0 {
					err = errors.New("the list is empty")
				}
				return err
			}
			response, err := stub.GrantAccess(ctx, grantRequest())
			if err == nil && response.GetClientSession().GetClientSessionId() != sessionID {
				err = errors.New("the response has not the session")
			}
			return err
		}
	}
	return calls, nil
}

func restCalls(address string, inFlight int, list bool, security *tls.Config) []func(context.Context) error {
	method, url, text := http.MethodPost, "http://"+address+grantPath, grantBody
	if list {
		method, url, text = http.MethodGet, "http://"+address+listPath, ""
	}
	if security != nil {
		url = "https" + url[len("http"):]
	}
	calls := make([]func(context.Context) error, inFlight)
	for i := range calls {
		// A client of its own for each worker, so that each has the one connection.
		transport := &http.Transport{TLSClientConfig: security.Clone(), DisableCompression: true, MaxConnsPerHost: 1}
		var body bytes.Buffer
		calls[i] = func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(text)))
			if err != nil {
				return err
			}
			request.Header.Set("Authorization", "Bearer "+apiKey)
			request.Header.Set("Content-Type", "application/json")
			response, err := transport.RoundTrip(request)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			body.Reset()
			if _, err := body.ReadFrom(response.Body); err != nil {
				return err
			}
			if response.StatusCode != http.StatusOK || !bytes.Contains(body.Bytes(), []byte(sessionID)) {
				return fmt.Errorf("status %d, %.200q", response.StatusCode, body.String())
			}
			return nil
		}
	}
	return calls
}
