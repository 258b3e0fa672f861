// Package clientsession connects to the client session service as its callers should, and reads its errors.
package clientsession

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// DefaultTimeout is the deadline of a call whose context has none. It covers all attempts of the call together.
const DefaultTimeout = 10 * time.Second

// Connect returns a connection to the service at an address, such as "seam.internal:443". One connection serves the
// whole program: it is safe for concurrent use and reconnects by itself. As [grpc.NewClient], Connect does no I/O: the
// error is about the address or the options, and a service that cannot be reached is an error of the first call.
//
// The token is the caller's credential: an API key or an access token of Seam, a client session token, or whatever the
// service's operator has issued. Each call sends the token as "authorization: Bearer TOKEN". Leave the token empty if
// the calls need none, or have different ones: use [metadata.AppendToOutgoingContext] then.
//
// The connection uses TLS and trusts the system's roots. It uses plain text if the host is localhost or a loopback
// address, and refuses to if the peer is another machine. The options come after these defaults and override them.
// For the roots of your own, give [grpc.WithTransportCredentials] with [credentials.NewClientTLSFromFile], and for a
// client certificate with [credentials.NewTLS]. With [insecure.NewCredentials] for another machine Connect fails if
// there is a token: see [ConnectInsecure].
//
// The other defaults are [ServiceConfig], which retries and balances, [DefaultTimeout], and a ping after 10 seconds
// without a sign of life in which calls are in flight: a connection whose ping has no answer for 2 seconds is given up.
//
// [metadata.AppendToOutgoingContext]: https://pkg.go.dev/google.golang.org/grpc/metadata#AppendToOutgoingContext
func Connect(address, token string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	if isLoopback(address) {
		return connect(address, bearer{token: token}, local.NewCredentials(), options)
	}
	return connect(address, bearer{token, true}, credentials.NewClientTLSFromCert(nil, ""), options)
}

// ConnectInsecure is Connect with plain text to any address, for a network that itself encrypts, such as a service
// mesh. On any other network everybody on the path can read the token.
func ConnectInsecure(address, token string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return connect(address, bearer{token: token}, insecure.NewCredentials(), options)
}

func connect(
	address string, credential bearer, transport credentials.TransportCredentials, options []grpc.DialOption,
) (*grpc.ClientConn, error) {
	defaults := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(ServiceConfig),
		// A replica that is frozen keeps its connections, since its kernel goes on to acknowledge packets.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
		grpc.WithChainUnaryInterceptor(withDeadline, withCallID),
	}
	if strings.ContainsFunc(credential.token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, errors.New("the token has a space, a line break or another character that no token has")
	}
	if credential.token != "" {
		defaults = append(defaults, grpc.WithPerRPCCredentials(credential))
	}
	return grpc.NewClient(address, append(defaults, options...)...)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback())
}

// bearer is the credential of each call of a connection.
type bearer struct {
	token string
	// secure refuses connections in plain text.
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

// withDeadline gives a call its default deadline. The timeout of a service config would also cap the caller's own.
func withDeadline(
	ctx context.Context, method string, request, response any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, set := ctx.Deadline(); !set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	return invoke(ctx, method, request, response, conn, options...)
}

// withCallID gives a call an id of its own, which finds it in the service's log even if no response arrives. The error
// of the call is an *[Error] with that id.
func withCallID(
	ctx context.Context, method string, request, response any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	sent, _ := metadata.FromOutgoingContext(ctx)
	id := strings.Join(sent.Get(callIDKey), ",")
	if id == "" {
		id = rand.Text()
		ctx = metadata.AppendToOutgoingContext(ctx, callIDKey, id)
	}
	err := invoke(ctx, method, request, response, conn, options...)
	if err == nil {
		return nil
	}
	e, _ := FromError(err)
	e.CallID = cmp.Or(e.CallID, id)
	e.OutcomeUnknown = e.OutcomeUnknown || e.Reason == "" && isLost(e.Code) && !isRead(method)
	return e
}

// isLost reports whether an error that the service did not send may be that of a call that has reached it.
func isLost(code codes.Code) bool {
	return slices.Contains([]codes.Code{
		codes.Canceled, codes.DeadlineExceeded, codes.Internal, codes.Unavailable, codes.Unknown,
	}, code)
}

func isRead(method string) bool {
	return method == clientsessionv1.ClientSessionService_Get_FullMethodName ||
		method == clientsessionv1.ClientSessionService_List_FullMethodName
}
