package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// served is the method of the call.
var served = servedMethod{FaceGRPC, method}

// serving is a server and one call, with all that Serve calls for it: serving is the authenticator and the face, and
// has the handler.
type serving struct {
	*testServer

	t    *testing.T
	call *Call
	// body is the body of the request, and seamStatus the status of Seam's response.
	body       []byte
	seamStatus int
	// do is what happens in a step of the call, by the name of the step, and the error of the step.
	do map[string]func() error
	// steps are the steps that were taken, and held is what the call held in each.
	steps []string
	held  map[string]held
}

// held is what calls hold: requests that arrive, bytes of requests, slots, the gauge of the slots, and slots of streams.
type held struct {
	arriving, bytes float64
	slots           int
	inFlight        float64
	streams         int
}

// newServing returns a server and a call that would succeed.
func newServing(t *testing.T, changes ...func(*serving)) *serving {
	t.Helper()
	s := &serving{t: t, seamStatus: 200, do: map[string]func() error{}, held: map[string]held{}}
	s.testServer = newTestServer(t, func(c *Config) { c.Authenticator, c.CallerRPS = s, 1 })
	s.call = &Call{
		Face: FaceGRPC, Metadata: metadata.Pairs(HeaderCallID, "call-1"),
		Method: Unary(method, s.handle),
	}
	s.body, _ = proto.Marshal(&clientsessionv1.GrantAccessRequest{ClientSessionId: new("session")})
	for _, change := range changes {
		change(s)
	}
	return s
}

func (s *serving) handle(
	_ context.Context, in *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	if in.GetClientSessionId() != "session" {
		s.t.Errorf("the request is %v", in)
	}
	s.call.SeamStatus, s.call.SeamRequestID = s.seamStatus, "seam-1"
	return &clientsessionv1.GrantAccessResponse{}, s.step("handle")
}

func (s *serving) step(name string) error {
	s.steps = append(s.steps, name)
	s.held[name] = s.holds()
	if do := s.do[name]; do != nil {
		return do()
	}
	return nil
}

func (s *serving) holds() held {
	return held{
		s.requests.authenticated.arriving(), s.requests.authenticated.inMemory(),
		s.slots.taken(), count(s.t, s.slots.inFlight), len(s.streams.slots),
	}
}

// Authenticate implements Authenticator. All that a call has from its beginning on is there.
func (s *serving) Authenticate(ctx context.Context, c *Call) error {
	if _, bounded := ctx.Deadline(); c.CallID == "" || FromContext(ctx) != c || bounded == c.Method.Stream {
		s.t.Errorf("at the authentication the id is %q, the record in the context %v, a deadline %t",
			c.CallID, FromContext(ctx), bounded)
	}
	return s.step("authenticate")
}

func (s *serving) Accepted(*Call) { _ = s.step("accepted") }

func (s *serving) Read(part []byte) (int, error) {
	if err := s.step("read"); err != nil {
		return 0, err
	}
	return copy(part, s.body), io.EOF
}

func (s *serving) Decode(body []byte, request proto.Message) *seamerr.Error {
	if err := s.step("decode"); err != nil {
		return seamerr.From(err)
	}
	return seamerr.From(proto.Unmarshal(body, request))
}

func (*serving) Cut() {}

func (s *serving) Respond(ctx context.Context, handle func(context.Context) (proto.Message, error)) error {
	if err := s.step("respond"); err != nil {
		return err
	}
	if handle != nil {
		if _, err := handle(ctx); err != nil {
			return err
		}
	}
	return s.step("responded")
}

// run serves the call. However it ends, it holds nothing any more, its context has ended, and its error has its ids.
func (s *serving) run() *seamerr.Error {
	s.t.Helper()
	ctx := s.Begin(s.t.Context(), s.call)
	defer func() {
		if holds := s.holds(); holds != (held{}) || ctx.Err() == nil {
			s.t.Errorf("after its end the call holds %+v, and its context is %v", holds, ctx.Err())
		}
	}()
	failure := s.Serve(ctx, s.call, s)
	requestID := "call-1"
	if s.call.SeamStatus != 0 {
		requestID = "seam-1"
	}
	if failure != nil && (failure.CallID != "call-1" || failure.SeamRequestID != requestID) {
		s.t.Errorf("the error has the ids %q and %q", failure.CallID, failure.SeamRequestID)
	}
	return failure
}

// expectEnd fails unless the call ended with an error of that type, empty for none, after these steps, and was logged
// once and counted once.
func (s *serving) expectEnd(failure *seamerr.Error, want, steps string) {
	s.t.Helper()
	got, taken := errorType(failure), strings.Join(s.steps, " ")
	if got != want || taken != steps {
		s.t.Errorf("the call ended with %q after the steps %q, want %q after %q", got, taken, want, steps)
	}
	line := s.log.only(s.t)
	if logged, _ := line["type"].(string); line["msg"] != "call" || logged != want || line["call_id"] != "call-1" {
		s.t.Errorf("the log is %v", line)
	}
	s.expectCounted(codeOf(failure))
}

func (s *serving) expectCounted(code codes.Code) {
	s.t.Helper()
	series, handled := s.metrics[served], 0.0
	for _, counter := range series.handled {
		handled += count(s.t, counter)
	}
	if count(s.t, series.started) != 1 || handled != 1 || count(s.t, series.handled[code]) != 1 {
		s.t.Errorf("%v calls started and %v ended, %v of them with %s",
			count(s.t, series.started), handled, count(s.t, series.handled[code]), code)
	}
}

const (
	allSteps    = "authenticate read decode respond handle responded accepted"
	streamSteps = "authenticate respond responded"
)

// failing returns a change by which a step fails.
func failing(step string) func(*serving) {
	return func(s *serving) {
		s.do[step] = func() error { return &seamerr.Error{HTTPStatus: 400, Type: step + " fails"} }
	}
}

func stream(s *serving) { s.call.Method = &Method{FullMethod: method, Stream: true} }

func withoutStreams(s *serving) { s.streams.slots = nil }

func withoutSeam(s *serving) { s.seamStatus = 0 }

func withoutToken(s *serving) { s.callerRate.wait(s.call.sharedKey()) }

func withoutSlot(s *serving) {
	s.slots.free, s.slots.maxWaiters = 0, 0
}

// TestServeOrder shows the order in which a call may be refused. A call that could be refused for several reasons is
// refused for the first one, and takes no step beyond it.
func TestServeOrder(t *testing.T) {
	faults := []struct {
		inject      func(*serving)
		want, steps string
	}{
		{func(s *serving) { s.call.Method.NewRequest = nil }, "method_not_found", ""},
		{failing("authenticate"), "authenticate fails", "authenticate"},
		{withoutToken, "caller_rate_limited", "authenticate"},
		{failing("read"), "read fails", "authenticate read"},
		{failing("decode"), "decode fails", "authenticate read decode"},
		{withoutSlot, "overloaded", "authenticate read decode"},
		{func(s *serving) { s.body = nil }, "invalid_input", "authenticate read decode"},
		{failing("respond"), "respond fails", "authenticate read decode respond"},
		{failing("handle"), "handle fails", "authenticate read decode respond handle"},
		{failing("responded"), "responded fails", "authenticate read decode respond handle responded"},
		{func(*serving) {}, "", allSteps},
	}
	for i, fault := range faults {
		t.Run(fault.want, func(t *testing.T) {
			s := newServing(t)
			for _, later := range faults[i:] {
				later.inject(s)
			}
			s.expectEnd(s.run(), fault.want, fault.steps)
		})
	}
}

// TestServe shows the calls that take another way.
func TestServe(t *testing.T) {
	type changes []func(*serving)
	public := func(s *serving) { s.call.Method.Public = true }
	for name, test := range map[string]struct {
		changes     changes
		want, steps string
	}{
		"public: without token and slot": {changes{public, withoutToken, withoutSlot}, "", allSteps},
		"stream: without token and slot": {changes{stream, withoutToken, withoutSlot}, "", streamSteps},
		"stream, unauthenticated":        {changes{stream, failing("authenticate")}, "authenticate fails", "authenticate"},
		"stream, one too many":           {changes{stream, withoutStreams}, "overloaded", "authenticate"},
		"stream that fails":              {changes{stream, failing("respond")}, "respond fails", "authenticate respond"},
		"without a response of Seam":     {changes{withoutSeam}, "", strings.TrimSuffix(allSteps, " accepted")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServing(t, test.changes...)
			s.expectEnd(s.run(), test.want, test.steps)
		})
	}
}

// TestServeHolds shows what a call holds in each step: its bytes and its slot until its response is written. What run
// checks after each call of these tests is that it holds nothing any more.
func TestServeHolds(t *testing.T) {
	s := newServing(t)
	bytes := float64(len(s.body))
	inFlight := held{bytes: bytes, slots: 1, inFlight: 1}
	s.expectEnd(s.run(), "", allSteps)
	want := map[string]held{
		"authenticate": {}, "read": {arriving: 1}, "decode": {bytes: bytes},
		"respond": inFlight, "handle": inFlight, "responded": inFlight, "accepted": inFlight,
	}
	if !maps.Equal(s.held, want) {
		t.Errorf("the call held %+v, want %+v", s.held, want)
	}
	s = newServing(t, stream)
	s.run()
	if want := (held{streams: 1}); s.held["respond"] != want {
		t.Errorf("the stream held %+v", s.held["respond"])
	}
}

// secret is the value of the panics: no log may have it.
const secret = "seam_passw0rd"

func panicWithSecret() error { panic(errors.New(secret)) }

// expectPanic fails unless the call ended as one that panicked, and the panic was counted and logged with its cause but
// without its value.
func (s *serving) expectPanic(failure *seamerr.Error, cause string) {
	s.t.Helper()
	if failure == nil || failure.GRPCCode() != codes.Internal || failure.Type != "internal_server_error" ||
		failure.Message != "Internal error" || failure.Cause.Error() != cause {
		s.t.Fatalf("the error is %+v, want one with the cause %q", failure, cause)
	}
	lines := s.log.lines(s.t, "panic")
	if len(lines) != 1 || count(s.t, s.panics) != 1 || strings.Contains(s.log.String(), secret) {
		s.t.Fatalf("%v panics were counted, the log is %s", count(s.t, s.panics), s.log)
	}
	line := lines[0]
	if line["level"] != "ERROR" || line["method"] != method || line["call_id"] != "call-1" || line["cause"] != cause ||
		line["seam_request_id"] != s.call.SeamRequestID {
		s.t.Errorf("the line of the panic is %v", line)
	}
}

const (
	withSecret = "panic with a value of type *errors.errorString"
	nilPointer = "panic: runtime error: invalid memory address or nil pointer dereference"
)

// TestRecovery shows that a panic anywhere in a call ends the call with an error, as any other failure ends it. The log
// has the cause where it is the runtime's, else the type of the value only.
func TestRecovery(t *testing.T) {
	type row struct {
		cause   string
		breakIt func(*serving)
	}
	handler := func(panics func()) func(*serving) {
		return func(s *serving) { s.do["handle"] = func() error { panics(); return nil } }
	}
	rows := map[string]row{
		"wrapped error": {
			"panic with a value of type *fmt.wrapError", handler(func() { panic(fmt.Errorf("x: %w", errors.New(secret))) }),
		},
		"string": {"panic with a value of type string", handler(func() { panic(secret) })},
		"struct": {
			"panic with a value of type struct { Token string }", handler(func() { panic(struct{ Token string }{secret}) }),
		},
		"nil": {"panic: panic called with nil argument", handler(func() { panic(nil) })},
		"index": {
			"panic: runtime error: index out of range [13] with length 0", handler(func() { _ = make([]int, 0)[len(secret)] }),
		},
		"conversion": {
			"panic: interface conversion: interface {} is string, not int", handler(func() { _ = any(secret).(int) }),
		},
		// These panic since they have no implementation.
		"tracer":              {nilPointer, func(s *serving) { s.tracing.tracer = struct{ trace.Tracer }{} }},
		"metric at the start": {nilPointer, func(s *serving) { s.metrics[served].started = nil }},
		"metric at the end":   {nilPointer, func(s *serving) { s.metrics[served].handled[codes.OK] = nil }},
		"log":                 {nilPointer, func(s *serving) { s.Server.log = newAccessLog(brokenLog(), nil, nil) }},
	}
	for step := range strings.SplitSeq(allSteps, " ") {
		rows[step] = row{withSecret, func(s *serving) { s.do[step] = panicWithSecret }}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := newServing(t, row.breakIt)
			s.expectPanic(s.run(), row.cause)
			if row.cause != withSecret {
				return
			}
			s.expectCounted(codes.Internal)
			if lines := s.log.lines(t, "call"); len(lines) != 1 || lines[0]["cause"] != withSecret {
				t.Errorf("the log is %s", s.log)
			}
			// The stack is there to find the bug: it must have the code that panicked.
			if stack, _ := s.log.lines(t, "panic")[0]["stack"].(string); !strings.Contains(stack, "panicWithSecret") {
				t.Errorf("the stack is %v", stack)
			}
			if last := s.steps[len(s.steps)-1]; last != name {
				t.Errorf("after the panic there was the step %s", last)
			}
		})
	}
}

// brokenLog returns a log whose handler panics.
func brokenLog() *slog.Logger { return slog.New(struct{ slog.Handler }{}) }

// TestRecoveryWithoutALog shows that a panic of the log itself, which cannot be logged, is counted and ends the call.
func TestRecoveryWithoutALog(t *testing.T) {
	for panics, handle := range map[float64]func() error{1: nil, 2: panicWithSecret} {
		s := newServing(t)
		s.do["handle"] = handle
		s.Server.log, s.Server.panics.logger = newAccessLog(brokenLog(), nil, nil), brokenLog()
		if e := s.run(); e == nil || e.GRPCCode() != codes.Internal || count(t, s.panics) != panics {
			t.Errorf("the error is %+v, %v panics were counted, want %v", e, count(t, s.panics), panics)
		}
	}
}

// TestPanicked shows that a panic outside of any call is reported like one within.
func TestPanicked(t *testing.T) {
	s := newServing(t)
	defer func() {
		ctx := NewContext(t.Context(), &Call{CallID: "call-1"})
		s.expectPanic(s.Panicked(ctx, method, recover()), withSecret)
	}()
	_ = panicWithSecret()
}
