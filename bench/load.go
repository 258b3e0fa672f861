package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// call is a call of the n-th worker. It fails if the response is not that of the upstream.
type call func(ctx context.Context, n int) error

// grpcCall calls over up to four connections, and more where one would have over 64 calls in flight.
func grpcCall(address string, inFlight int, list bool) (call, error) {
	connections := make([]*grpc.ClientConn, max(min(inFlight, 4), (inFlight+63)/64))
	for i := range connections {
		var err error
		connections[i], err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, n int) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+apiKey)
		stub := clientsessionv1.NewClientSessionServiceClient(connections[n%len(connections)])
		if list {
			response, err := stub.List(ctx, new(clientsessionv1.ListRequest))
			if err == nil && len(response.GetClientSessions()) == 0 {
				err = errors.New("the list is empty")
			}
			return err
		}
		response, err := stub.GrantAccess(ctx, &clientsessionv1.GrantAccessRequest{
			ClientSessionId: new(sessionID), ConnectedAccountIds: []string{accountID},
		})
		if err == nil && response.GetClientSession().GetClientSessionId() != sessionID {
			err = errors.New("the response has not the session")
		}
		return err
	}, nil
}

func restCall(client *http.Client, url string, list bool) call {
	method, path, text := http.MethodPost, grantPath, grantRequest
	if list {
		method, path, text = http.MethodGet, listPath, ""
	}
	return func(ctx context.Context, _ int) error {
		request, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(text))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+apiKey)
		request.Header.Set("Content-Type", "application/json")
		body, err := send(client.Do, request)
		if err == nil && !bytes.Contains(body, []byte(sessionID)) {
			err = errors.New("the response has not the session")
		}
		return err
	}
}

// load is what a loop of calls measures.
type load struct {
	began      time.Time
	running    sync.WaitGroup
	mu         sync.Mutex
	latencies  []time.Duration // Sorted at the end.
	firstError error
	took       time.Duration
}

// closedLoop makes calls for that long, and one a worker at least: each worker makes its next call when it has the
// response to the last. It fails if a call does.
func closedLoop(ctx context.Context, c call, workers int, duration time.Duration) (*load, error) {
	l := &load{began: time.Now()}
	for n := range workers {
		l.running.Go(func() {
			for again := true; again; again = time.Since(l.began) < duration {
				l.make(ctx, c, n, time.Now())
			}
		})
	}
	return l.end()
}

// openLoop makes that many calls, so many a second, whether or not there are responses to those before. The latency of
// a call counts from when it was due, so that a program that holds up the loop does not hide by it.
func openLoop(ctx context.Context, c call, perSecond, calls int) (*load, error) {
	l := &load{began: time.Now()}
	for n := range calls {
		due := l.began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		time.Sleep(time.Until(due))
		l.running.Go(func() { l.make(ctx, c, n, due) })
	}
	return l.end()
}

func (l *load) make(ctx context.Context, c call, n int, due time.Time) {
	err := c(ctx, n)
	latency := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latency)
	l.firstError = cmp.Or(l.firstError, err)
}

func (l *load) end() (*load, error) {
	l.running.Wait()
	l.took = time.Since(l.began)
	slices.Sort(l.latencies)
	return l, l.firstError
}

// percentile returns, in milliseconds, the least of the latencies that at least so many thousandths of them do not
// exceed. They are sorted.
func percentile(latencies []time.Duration, thousandths int) float64 {
	return float64(latencies[max(0, (len(latencies)*thousandths+999)/1000-1)]) / float64(time.Millisecond)
}
