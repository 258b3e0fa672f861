package clientsession_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// TestRetries shows what a connection retries: idempotent calls that end with UNAVAILABLE, as the service asks for.
func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		create   bool
		code     codes.Code
		pushback string
		failures int
		attempts int32
		want     codes.Code
		after    time.Duration
	}{
		"an outage that ends":           {code: codes.Unavailable, failures: 2, attempts: 3},
		"an outage":                     {code: codes.Unavailable, failures: 9, attempts: 4, want: codes.Unavailable},
		"the service says when":         {code: codes.Unavailable, pushback: "700", failures: 1, attempts: 2, after: 700 * time.Millisecond},
		"the service says not to":       {code: codes.Unavailable, pushback: "-1", failures: 1, attempts: 1, want: codes.Unavailable},
		"another code":                  {code: codes.ResourceExhausted, failures: 1, attempts: 1, want: codes.ResourceExhausted},
		"an RPC that is not idempotent": {create: true, code: codes.Unavailable, failures: 1, attempts: 1, want: codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stub{respond: func(ctx context.Context, attempt int) error {
				if attempt > test.failures {
					return nil
				}
				if test.pushback != "" {
					_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", test.pushback))
				}
				return status.Error(test.code, "fails")
			}}
			client, start := connect(t, s), time.Now()
			var err error
			if test.create {
				_, err = client.Create(t.Context(), &clientsessionv1.CreateRequest{})
			} else {
				_, err = client.GrantAccess(t.Context(), &clientsessionv1.GrantAccessRequest{})
			}
			if status.Code(err) != test.want || s.attempts.Load() != test.attempts {
				t.Errorf("got %v after %d attempts, want %s after %d", err, s.attempts.Load(), test.want, test.attempts)
			}
			if took := time.Since(start); took < test.after {
				t.Errorf("retried after %s, want %s", took, test.after)
			}
		})
	}
}

// TestCallsAreBalanced shows that calls go to all addresses.
func TestCallsAreBalanced(t *testing.T) {
	replicas := manual.NewBuilderWithScheme("replicas")
	var stubs []*stub
	var state resolver.State
	for range 2 {
		s := &stub{respond: func(context.Context, int) error { return nil }}
		stubs = append(stubs, s)
		state.Addresses = append(state.Addresses, resolver.Address{Addr: serve(t, s)})
	}
	replicas.InitialState(state)
	conn, err := clientsession.ConnectInsecure("replicas:///service", "", grpc.WithResolvers(replicas))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := clientsessionv1.NewClientSessionServiceClient(conn)
	// The second connection may take its time, so the calls go on until both replicas have had one.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for stubs[0].attempts.Load() == 0 || stubs[1].attempts.Load() == 0 {
		if _, err := client.Create(ctx, &clientsessionv1.CreateRequest{}); err != nil {
			t.Fatalf("the replicas had %d and %d calls: %v", stubs[0].attempts.Load(), stubs[1].attempts.Load(), err)
		}
	}
}

// TestFrozenReplica shows that a call ends soon when its replica does no more, and leaves its connection open.
func TestFrozenReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		dialer := func(context.Context, string) (net.Conn, error) { return ours, nil }
		conn, err := clientsession.ConnectInsecure("passthrough:///frozen", "", grpc.WithContextDialer(dialer))
		if err != nil {
			t.Fatal(err)
		}
		go answerHello(theirs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err = clientsessionv1.NewClientSessionServiceClient(conn).Create(ctx, &clientsessionv1.CreateRequest{})
		if took := time.Since(start); status.Code(err) != codes.Unavailable || took != 12*time.Second {
			t.Errorf("got %v after %s, want Unavailable after 12 s", err, took)
		}
		conn.Close()
		theirs.Close()
	})
}

// answerHello begins HTTP/2 on a connection, and then reads and does nothing.
func answerHello(conn net.Conn) {
	_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // A SETTINGS frame without settings.
	_, _ = io.Copy(io.Discard, conn)
}
