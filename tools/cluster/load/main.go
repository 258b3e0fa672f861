// Command load makes calls on both faces of the service at a fixed rate, and prints each second how many it has made,
// and how many of them were lost: load GRPC-TARGET REST-URL.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

const (
	rate = 200 // calls a second, of each face
	// The sandbox has both.
	apiKey  = "seam_testSand_sandboxsandboxsandboxsan" //nolint:gosec // It opens nothing else.
	session = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	// A new channel every so often: a caller that starts in the middle of a rollout, with an old answer of the DNS, may
	// lose no call either.
	channelInterval = 5 * time.Second
)

func main() {
	channels := &channels{target: os.Args[1]}
	faces := []*face{{name: "go", call: channels.call}, {name: "rest", call: restClient{os.Args[2]}.get}}
	for _, f := range faces {
		go f.load()
	}
	for range time.Tick(time.Second) {
		for _, f := range faces {
			_, _ = fmt.Fprintln(os.Stdout, f.name, f.calls.Load(), f.lost.Load())
		}
	}
}

// face makes the calls of one face.
type face struct {
	name        string
	call        func(context.Context) error
	calls, lost atomic.Int64
}

func (f *face) load() {
	for range time.Tick(time.Second / rate) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			start := time.Now()
			if err := f.call(ctx); err != nil {
				f.lost.Add(1)
				_, _ = fmt.Fprintln(os.Stdout, "lost", f.name, "after", time.Since(start), err)
			}
			f.calls.Add(1)
		}()
	}
}

// channels are balanced over. There is a new one every channelInterval.
type channels struct {
	target string
	mu     sync.Mutex
	open   []*grpc.ClientConn
	opened time.Time
	next   int
}

func (c *channels) take() (*grpc.ClientConn, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.opened) > channelInterval {
		channel, err := clientsession.ConnectInsecure(c.target, apiKey)
		if err != nil {
			return nil, 0, err
		}
		c.open, c.opened = append(c.open, channel), time.Now()
	}
	c.next++
	return c.open[c.next/2%len(c.open)], c.next, nil
}

// call makes a call that the client retries, and then one that it does not.
func (c *channels) call(ctx context.Context) error {
	channel, n, err := c.take()
	if err != nil {
		return err
	}
	client := clientsessionv1.NewClientSessionServiceClient(channel)
	if n%2 == 0 {
		_, err = client.Get(ctx, &clientsessionv1.GetRequest{ClientSessionId: new(session)})
	} else {
		_, err = client.GetOrCreate(ctx, &clientsessionv1.GetOrCreateRequest{UserIdentifierKey: new("jane_doe")})
	}
	return err
}

type restClient struct{ url string }

func (r restClient) get(ctx context.Context) error {
	body := strings.NewReader(`{"client_session_id":"` + session + `"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/client_sessions/get", body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}
