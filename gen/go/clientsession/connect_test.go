package clientsession_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// stub is a service that answers each attempt of a call with respond.
type stub struct {
	clientsessionv1.UnimplementedClientSessionServiceServer

	attempts atomic.Int32
	respond  func(ctx context.Context, attempt int) error
}

func (s *stub) attempt(ctx context.Context) error { return s.respond(ctx, int(s.attempts.Add(1))) }

func (s *stub) Create(
	ctx context.Context, _ *clientsessionv1.CreateRequest,
) (*clientsessionv1.CreateResponse, error) {
	return &clientsessionv1.CreateResponse{}, s.attempt(ctx)
}

func (s *stub) Get(ctx context.Context, _ *clientsessionv1.GetRequest) (*clientsessionv1.GetResponse, error) {
	return &clientsessionv1.GetResponse{}, s.attempt(ctx)
}

func (s *stub) GrantAccess(
	ctx context.Context, _ *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	return &clientsessionv1.GrantAccessResponse{}, s.attempt(ctx)
}

// serve serves a stub on a port of loopback and returns its address.
func serve(t *testing.T, s *stub, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	clientsessionv1.RegisterClientSessionServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// authority returns credentials for a server of the name example.com, and the roots that a client needs for it.
func authority(t *testing.T) (grpc.ServerOption, *x509.CertPool) {
	t.Helper()
	issued := httptest.NewTLSServer(nil)
	defer issued.Close()
	roots := x509.NewCertPool()
	roots.AddCert(issued.Certificate())
	return grpc.Creds(credentials.NewServerTLSFromCert(&issued.TLS.Certificates[0])), roots
}

// elsewhere is a connection whose peer seems to be another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

type connector func(address, token string, options ...grpc.DialOption) (*grpc.ClientConn, error)

// TestConnect shows over which connections a token is sent.
func TestConnect(t *testing.T) {
	overTLS, roots := authority(t)
	trusted := grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, ""))
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	const other = "passthrough:///example.com:443"
	for name, test := range map[string]struct {
		address string
		option  grpc.DialOption
		connect connector
		server  grpc.ServerOption
		// elsewhere says that the address leads to another machine.
		elsewhere bool
		// want is a part of the error, empty if the token arrives.
		want string
	}{
		"TLS":                           {address: other, option: trusted, server: overTLS, elsewhere: true},
		"TLS on loopback":               {address: "127.0.0.1:443", option: trusted, server: overTLS},
		"an unknown authority":          {address: other, server: overTLS, want: "signed by unknown authority"},
		"a service without TLS":         {address: other, want: "does not look like a TLS handshake"},
		"plain text to 127.0.0.1":       {address: "127.0.0.1:9090"},
		"plain text to ::1":             {address: "[::1]:9090"},
		"plain text to localhost":       {address: "localhost:9090"},
		"a localhost that is elsewhere": {address: "localhost:9090", elsewhere: true, want: "non-local address"},
		"insecure credentials":          {address: other, option: plain, elsewhere: true, want: "transport level security"},
		"insecure by name":              {address: other, connect: clientsession.ConnectInsecure, elsewhere: true},
		"a malformed address":           {address: "\x00", want: "invalid control character"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan []string, 1)
			server := serve(t, &stub{respond: func(ctx context.Context, _ int) error {
				got <- metadata.ValueFromIncomingContext(ctx, "authorization")
				return nil
			}}, cmp.Or(test.server, grpc.ServerOption(grpc.EmptyServerOption{})))
			dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
				if test.elsewhere && err == nil {
					return elsewhere{conn}, nil
				}
				return conn, err
			})
			connect := clientsession.Connect
			if test.connect != nil {
				connect = test.connect
			}
			conn, err := connect(test.address, "a-token", cmp.Or(test.option, grpc.DialOption(grpc.EmptyDialOption{})), dialer)
			if err == nil {
				defer conn.Close()
				_, err = clientsessionv1.NewClientSessionServiceClient(conn).Create(t.Context(), &clientsessionv1.CreateRequest{})
			}
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want an error with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if sent := <-got; !slices.Equal(sent, []string{"Bearer a-token"}) {
				t.Errorf("the service got %q", sent)
			}
		})
	}
}

// TestCredentialOfEachCall shows that a connection without a token sends what the call says.
func TestCredentialOfEachCall(t *testing.T) {
	var got []string
	client := connect(t, &stub{respond: func(ctx context.Context, _ int) error {
		got = metadata.ValueFromIncomingContext(ctx, "authorization")
		return nil
	}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer of-the-call")
	if _, err := client.Create(ctx, &clientsessionv1.CreateRequest{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"Bearer of-the-call"}) {
		t.Errorf("the service got %q", got)
	}
}

func connect(t *testing.T, s *stub) clientsessionv1.ClientSessionServiceClient {
	t.Helper()
	conn, err := clientsession.Connect(serve(t, s), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return clientsessionv1.NewClientSessionServiceClient(conn)
}

// TestDeadline shows that a call has the deadline of its context, however long, and without one the default.
func TestDeadline(t *testing.T) {
	for name, test := range map[string]struct{ timeout, want time.Duration }{
		"none":    {0, clientsession.DefaultTimeout},
		"shorter": {2 * time.Second, 2 * time.Second},
		"longer":  {time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var got time.Duration
			client := connect(t, &stub{respond: func(ctx context.Context, _ int) error {
				deadline, _ := ctx.Deadline()
				got = time.Until(deadline)
				return nil
			}})
			ctx := t.Context()
			if test.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.timeout)
				defer cancel()
			}
			if _, err := client.Create(ctx, &clientsessionv1.CreateRequest{}); err != nil {
				t.Fatal(err)
			}
			if got > test.want || got < test.want-time.Second {
				t.Errorf("the service has %s for the call, want %s", got, test.want)
			}
		})
	}
}

// TestCallID shows that each call has an id, that its error tells the id even without details, and that package status
// reads the error as if it were grpc-go's own.
func TestCallID(t *testing.T) {
	for name, own := range map[string][]string{"of the connection": nil, "of the call": {"x-request-id", "order-17"}} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			client := connect(t, &stub{respond: func(ctx context.Context, _ int) error {
				sent = metadata.ValueFromIncomingContext(ctx, "x-request-id")
				return status.Error(codes.Internal, "broken")
			}})
			ctx := metadata.AppendToOutgoingContext(t.Context(), own...)
			_, err := client.Create(ctx, &clientsessionv1.CreateRequest{})
			got, ok := clientsession.FromError(fmt.Errorf("create: %w", err))
			if len(sent) != 1 || len(sent[0]) < 8 || own != nil && sent[0] != own[1] || !ok || got.CallID != sent[0] {
				t.Errorf("the service got %q, and the error is %+v", sent, got)
			}
			if !got.OutcomeUnknown {
				t.Error("a Create without a response of the service may be repeated")
			}
			if st, ok := status.FromError(err); !ok || st.Code() != codes.Internal || st.Message() != "broken" {
				t.Errorf("the status is %v", st)
			}
		})
	}
}

// TestOutcomeUnknown shows which errors that do not come from the service leave the outcome open.
func TestOutcomeUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		code codes.Code
		read bool
		want bool
	}{
		"a lost write":            {code: codes.Unavailable, want: true},
		"a write at its deadline": {code: codes.DeadlineExceeded, want: true},
		"a write that is refused": {code: codes.Unauthenticated},
		"a lost read":             {code: codes.Unavailable, read: true},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, &stub{respond: func(context.Context, int) error { return status.Error(test.code, "ends") }})
			var err error
			if test.read {
				_, err = client.Get(t.Context(), &clientsessionv1.GetRequest{})
			} else {
				_, err = client.Create(t.Context(), &clientsessionv1.CreateRequest{})
			}
			if got, _ := clientsession.FromError(err); got.Code != test.code || got.OutcomeUnknown != test.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestInvalidToken shows that a token that no header can carry is refused at once, and not quoted.
func TestInvalidToken(t *testing.T) {
	for _, token := range []string{"secret\n", "se cret", "s\u00e9cret"} {
		if _, err := clientsession.Connect("127.0.0.1:9090", token); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("got %v", err)
		}
	}
}
