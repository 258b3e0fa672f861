//go:build soak || fleet

package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// The faces of the service.
const (
	faceGRPC = "grpc"
	faceREST = "rest"
)

// The outcomes for which a face has no word of its own.
const (
	// notAccepted is a connection that could not be made: the call was not accepted.
	notAccepted = "not accepted"
	// gaveUp is a client that left before the response came.
	gaveUp = "client gave up"
	// cut is a connection that broke, or a response that broke off.
	cut = "cut"
)

// caller calls both faces of the service as its clients do: over a few connections that all calls share, and over
// connections that are kept.
type caller struct {
	conns []*grpc.ClientConn
	next  atomic.Uint64
	http  *http.Client
	base  string
}

// newCaller returns a caller with so many connections to the gRPC face, which are made when they are first used.
func newCaller(t *testing.T, service servicetest.Addresses, conns int, options ...grpc.DialOption) *caller {
	t.Helper()
	c := &caller{
		base: "http://" + service.HTTP,
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
		}},
	}
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)
	for range conns {
		conn, err := grpc.NewClient(service.GRPC, options...)
		if err != nil {
			t.Fatal(err)
		}
		c.conns = append(c.conns, conn)
	}
	t.Cleanup(c.close)
	return c
}

// close ends the connections, over which nothing may be in flight any more.
func (c *caller) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
	c.http.CloseIdleConnections()
}

// reply is how a call ended.
type reply struct {
	// outcome is the gRPC code, the HTTP status or one of the constants above.
	outcome string
	// kind is the error's type, such as overloaded, empty for a success and for what is no response of the service.
	kind string
	// retryAfter is the Retry-After of the response.
	retryAfter time.Duration
	// closed says that the connection is not to be used again.
	closed bool
	cause  error
}

func (a reply) ok() bool       { return a.outcome == codes.OK.String() || a.outcome == "200" }
func (a reply) refused() bool  { return a.kind == "overloaded" }
func (a reply) String() string { return a.outcome + " " + a.kind }

// envoyReason is what Envoy says in place of a response of the service.
var envoyReason = regexp.MustCompile(`reset reason: ([a-z ]+)|(no healthy upstream|The replica did not respond)`)

// why is the cause of a failure: the service's type of error, what Envoy says, or the error of the client.
func (a reply) why() string {
	switch said := envoyReason.FindString(fmt.Sprint(a.cause)); {
	case a.ok():
		return ""
	case said != "":
		return "envoy: " + strings.TrimPrefix(said, "reset reason: ")
	case a.kind != "":
		return a.kind
	default:
		return fmt.Sprint(a.cause)
	}
}

// call makes one call over a face. The response's message, if there is one, is read into out.
func (c *caller) call(ctx context.Context, face string, r rpc, in, out proto.Message) reply {
	if face == faceGRPC {
		return c.overGRPC(ctx, r, in, out)
	}
	return c.overREST(ctx, r, in, out)
}

func (c *caller) overGRPC(ctx context.Context, r rpc, in, out proto.Message) reply {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+sandbox.APIKey)
	conn := c.conns[c.next.Add(1)%uint64(len(c.conns))]
	err := conn.Invoke(ctx, "/"+clientsessionv1.ClientSessionService_ServiceDesc.ServiceName+"/"+r.name, in, out)
	failure, _ := clientsession.FromError(err)
	got := reply{outcome: failure.Code.String(), kind: failure.Type, cause: err}
	if failure.RetryDelay != nil {
		got.retryAfter = *failure.RetryDelay
	}
	return got
}

// overREST uses POST, which every route has, for all calls: Go's client retries no POST by itself, so one call is one
// request and the counts of both sides can be compared.
func (c *caller) overREST(ctx context.Context, r rpc, in, out proto.Message) reply {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(in)
	if err != nil {
		return reply{outcome: "no JSON", cause: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return reply{outcome: "no request", cause: err}
	}
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return noResponse(ctx, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return noResponse(ctx, err)
	}
	got := reply{outcome: strconv.Itoa(response.StatusCode), closed: response.Close}
	if response.StatusCode == http.StatusOK {
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, out); err != nil {
			return reply{outcome: "not JSON", cause: err}
		}
		return got
	}
	var failure struct {
		Error struct {
			Type string `json:"type"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &failure) // Where Seam responds without an error body, so does the service.
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	got.kind, got.retryAfter = failure.Error.Type, time.Duration(seconds)*time.Second
	got.cause = fmt.Errorf("%d %s", response.StatusCode, text)
	return got
}

// noResponse tells apart why there is no response over REST.
func noResponse(ctx context.Context, err error) reply {
	operation := new(net.OpError)
	switch {
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return reply{outcome: gaveUp, cause: err}
	case errors.As(err, &operation) && operation.Op == "dial":
		return reply{outcome: notAccepted, cause: err}
	default:
		return reply{outcome: cut, cause: err}
	}
}

// rpc is one of the calls of the contract, with its route over REST.
type rpc struct{ name, path string }

// grantAccess is the call that most tests make.
func grantAccess() rpc { return rpc{"GrantAccess", "/client_sessions/grant_access"} }

// grant is its request. To grant the same again changes nothing, so Seam's data do not grow.
func grant() *clientsessionv1.GrantAccessRequest {
	return &clientsessionv1.GrantAccessRequest{
		ClientSessionId:     proto.String(sandbox.SessionID),
		ConnectedAccountIds: []string{sandbox.ConnectedAccountID},
	}
}

// grantOver grants over a face, within the deadline.
func (c *caller) grantOver(face string, deadline time.Duration) reply {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return c.call(ctx, face, grantAccess(), grant(), &clientsessionv1.GrantAccessResponse{})
}
