package interceptor_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const panicSecret = "seam_passw0rd"

func panicWithSecret() { panic(errors.New(panicSecret)) }

func dereferenceNil() {
	var call *callinfo.Call
	call.RequestID = panicSecret
}

// panickingLog is a log whose handler panics, each time or only for calls.
type panickingLog struct {
	slog.Handler

	always bool
}

func (l panickingLog) Handle(ctx context.Context, record slog.Record) error {
	if l.always || record.Message == "call" {
		panicWithSecret()
	}
	return l.Handler.Handle(ctx, record)
}

// recoveryHarness is the service, whose calls recover, with what RecoverCall logged and counted.
type recoveryHarness struct {
	clientsessionv1.UnimplementedClientSessionServiceServer

	handle  func() // What the handler does before it responds.
	log     *logLines
	panics  prometheus.Counter
	recover grpc.UnaryServerInterceptor
	logger  *slog.Logger
}

func (r *recoveryHarness) GrantAccess(context.Context, *request) (*clientsessionv1.GrantAccessResponse, error) {
	if r.handle != nil {
		r.handle()
	}
	return &clientsessionv1.GrantAccessResponse{}, nil
}

func newRecoveryHarness(t *testing.T, handle func()) *recoveryHarness {
	t.Helper()
	r := &recoveryHarness{handle: handle, panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"})}
	r.logger, r.log = newLog(slog.LevelInfo)
	r.recover = interceptor.RecoverCall(r.logger, r.panics)
	return r
}

// call calls GrantAccess through RecoverCall and then the steps.
func (r *recoveryHarness) call(ctx context.Context, steps ...grpc.UnaryServerInterceptor) (any, error) {
	steps = append([]grpc.UnaryServerInterceptor{r.recover}, steps...)
	return interceptor.Bind(steps, info(), func(ctx context.Context, in any) (any, error) {
		return r.GrantAccess(ctx, in.(*request))
	})(ctx, &request{})
}

// panicking is an interceptor that panics before or after its handler.
func panicking(do func(), after bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !after {
			do()
		}
		response, err := handler(ctx, request)
		do()
		return response, err
	}
}

func TestRecoverCall(t *testing.T) {
	const (
		withSecret = "panic with a value of type *errors.errorString"
		nilPointer = "panic: runtime error: invalid memory address or nil pointer dereference"
	)
	accessLog := func(r *recoveryHarness) grpc.UnaryServerInterceptor {
		return interceptor.AccessLog(slog.New(panickingLog{Handler: r.logger.Handler()}), nil)
	}
	type steps = []grpc.UnaryServerInterceptor
	for name, test := range map[string]struct {
		handle func()
		steps  func(*recoveryHarness) steps
		cause  string
	}{
		"handler":              {handle: panicWithSecret, cause: withSecret},
		"handler, nil pointer": {handle: dereferenceNil, cause: nilPointer},
		"handler in a chain without recovery": {
			handle: dereferenceNil,
			steps:  func(*recoveryHarness) steps { return steps{interceptor.RequestID} },
			cause:  nilPointer,
		},
		"next interceptor": {
			steps: func(r *recoveryHarness) steps {
				return steps{panicking(panicWithSecret, false), interceptor.Recovery(r.logger, r.panics)}
			},
			cause: withSecret,
		},
		"access log": {
			steps: func(r *recoveryHarness) steps {
				return steps{interceptor.RequestID, accessLog(r), interceptor.Recovery(r.logger, r.panics)}
			},
			cause: withSecret,
		},
		"metrics, after the handler": {
			steps: func(r *recoveryHarness) steps {
				return steps{interceptor.RequestID, panicking(dereferenceNil, true), interceptor.Recovery(r.logger, r.panics)}
			},
			cause: nilPointer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecoveryHarness(t, test.handle)
			var chain steps
			if test.steps != nil {
				chain = test.steps(r)
			}
			transport := &headers{}
			ctx, _ := withCall(t, callinfo.Call{Face: callinfo.FaceGRPC})
			got, err := r.call(grpc.NewContextWithServerTransportStream(ctx, transport), chain...)
			e := asError(t, err)
			if got != nil || e.GRPCCode() != codes.Internal || e.Type != "internal_server_error" || e.Message != "Internal error" {
				t.Errorf("response %v, error %+v", got, e)
			}
			if _, err := uuid.Parse(e.RequestID); err != nil {
				t.Errorf("request id is %q", e.RequestID)
			}
			if ids := transport.trailer.Get("seam-request-id"); len(ids) != 1 || ids[0] != e.RequestID || len(transport.MD) > 0 {
				t.Errorf("the response has the ids %q and the headers %v", ids, transport.MD)
			}
			line := r.log.only(t)
			if line["level"] != "ERROR" || line["msg"] != "panic" || line["method"] != method || line["cause"] != test.cause || line["request_id"] != e.RequestID {
				t.Errorf("log is %v", line)
			}
			if stack, _ := line["stack"].(string); !strings.Contains(stack, "recovercall_test.go") {
				t.Errorf("stack is %v", line["stack"])
			}
			if strings.Contains(r.log.String(), panicSecret) || strings.Contains(e.Cause.Error(), panicSecret) {
				t.Errorf("the value of the panic is logged: %s", r.log)
			}
			if n := count(t, r.panics); n != 1 {
				t.Errorf("%v panics were counted", n)
			}
		})
	}
}

// The id in the response is the one by which the caller, or Seam, can be asked.
func TestRecoverCallRequestID(t *testing.T) {
	for name, test := range map[string]struct {
		sent string
		call *callinfo.Call
		// seam is the id of Seam's response before the panic.
		seam  string
		chain grpc.UnaryServerInterceptor
		want  string
	}{
		"the caller's":                   {sent: "call-1", chain: interceptor.RequestID, want: "call-1"},
		"the caller's, before the chain": {sent: "call-1", want: "call-1"},
		"the record's":                   {sent: "call-1", call: &callinfo.Call{Face: callinfo.FaceREST, RequestID: "rest-1"}, want: "rest-1"},
		"Seam's":                         {sent: "call-1", seam: "seam-1", chain: interceptor.RequestID, want: "seam-1"},
		"invalid in a log or header":     {sent: "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecoveryHarness(t, nil)
			call := callinfo.Call{Face: callinfo.FaceGRPC}
			if test.call != nil {
				call = *test.call
			}
			call.Metadata = metadata.Pairs("x-request-id", test.sent)
			ctx, _ := withCall(t, call)
			last := func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
				callinfo.FromContext(ctx).SeamRequestID = test.seam
				panic("injected")
			}
			chain := []grpc.UnaryServerInterceptor{last}
			if test.chain != nil {
				chain = []grpc.UnaryServerInterceptor{test.chain, last}
			}
			_, err := r.call(ctx, chain...)
			e := asError(t, err)
			if test.want != "" && e.RequestID != test.want {
				t.Errorf("request id is %q, want %q", e.RequestID, test.want)
			}
			if _, err := uuid.Parse(e.RequestID); test.want == "" && err != nil {
				t.Errorf("request id is %q, want a fresh UUID", e.RequestID)
			}
		})
	}
}

// What Recovery caught is not handled again: one count, one line with the stack, and the access log's.
func TestRecoverCallLeavesTheRestToRecovery(t *testing.T) {
	r := newRecoveryHarness(t, panicWithSecret)
	_, err := r.call(t.Context(),
		interceptor.RequestID, interceptor.AccessLog(r.logger, nil), interceptor.Recovery(r.logger, r.panics))
	if e := asError(t, err); e.GRPCCode() != codes.Internal || e.RequestID == "" {
		t.Errorf("error is %+v", e)
	}
	if n := count(t, r.panics); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
	if log := r.log.String(); strings.Count(log, `"msg":"panic"`) != 1 || strings.Count(log, `"msg":"call"`) != 1 {
		t.Errorf("log is %s", log)
	}
}

// A panic of the log itself cannot be logged, but the process and the call's response must survive it.
func TestRecoverCallWithoutALog(t *testing.T) {
	for name, grant := range map[string]func(){"good handler": func() {}, "handler that panics": panicWithSecret} {
		t.Run(name, func(t *testing.T) {
			r := newRecoveryHarness(t, grant)
			panicking := slog.New(panickingLog{Handler: r.logger.Handler(), always: true})
			r.recover = interceptor.RecoverCall(panicking, r.panics)
			_, err := r.call(t.Context(), interceptor.RequestID, interceptor.AccessLog(panicking, nil))
			if e := asError(t, err); e.GRPCCode() != codes.Internal || e.RequestID == "" {
				t.Errorf("error is %+v", e)
			}
			if n := count(t, r.panics); n != 1 || r.log.Len() > 0 {
				t.Errorf("%v panics were counted, log is %s", n, r.log)
			}
		})
	}
}

func TestRecoverCallWithoutPanic(t *testing.T) {
	r := newRecoveryHarness(t, nil)
	got, err := r.call(t.Context())
	if _, ok := got.(*clientsessionv1.GrantAccessResponse); !ok || err != nil {
		t.Errorf("response %v, error %v", got, err)
	}
	failed := seamerr.NotFound()
	fail := func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { return nil, failed }
	if _, err := r.call(t.Context(), fail); !errors.Is(err, failed) {
		t.Errorf("error is %v", err)
	}
	if r.log.Len() > 0 || count(t, r.panics) != 0 {
		t.Errorf("%v panics, log %s", count(t, r.panics), r.log)
	}
}

// Through a real server: the process survives and responds to later calls.
func TestRecoverCallInAServer(t *testing.T) {
	calls := 0
	r := newRecoveryHarness(t, nil)
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(r.recover,
		func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if calls++; calls == 1 {
				panicWithSecret()
			}
			return interceptor.RequestID(ctx, request, info, handler)
		}), grpc.WaitForHandlers(true))
	clientsessionv1.RegisterClientSessionServiceServer(server, r)
	listener := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, err := grpc.NewClient("passthrough:///bufconn",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	sessions := clientsessionv1.NewClientSessionServiceClient(client)
	var trailer metadata.MD
	_, err = sessions.GrantAccess(t.Context(), &request{}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.Internal || status.Convert(err).Message() != "Internal error" || len(trailer.Get("seam-request-id")) != 1 {
		t.Errorf("error %v, trailer %v", err, trailer)
	}
	if _, err := sessions.GrantAccess(t.Context(), &request{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := count(t, r.panics); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
}
