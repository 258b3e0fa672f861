package call

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const method = clientsessionv1.ClientSessionService_GrantAccess_FullMethodName

// testServer is a server with its log and its counters.
type testServer struct {
	*Server

	log    *logLines
	panics prometheus.Counter
}

// newTestServer returns a server with one slot. The changes change its configuration.
func newTestServer(t *testing.T, changes ...func(*Config)) *testServer {
	t.Helper()
	logger, log := newLog(slog.LevelInfo)
	rules, err := NewRules(clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages())
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Logger: logger, Registry: prometheus.NewRegistry(), Served: servedService(), Rules: rules,
		Panics:      prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"}),
		InFlight:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
		Refused:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
		MaxInFlight: 1, Authenticator: anyone{},
		DefaultTimeout: time.Minute, MaxTimeout: time.Minute, StreamLifetime: time.Minute, StreamCtx: t.Context(),
	}
	for _, change := range changes {
		change(&config)
	}
	return &testServer{NewServer(config), log, config.Panics}
}

// serve serves a call of a method on a face.
func (s *testServer) serve(ctx context.Context, method Method, f *testFace) *seamerr.Error {
	return s.serveCall(ctx, &Call{Face: FaceGRPC, Method: &method}, f)
}

// serveCall serves a call on a face.
func (s *testServer) serveCall(ctx context.Context, c *Call, f *testFace) *seamerr.Error {
	c.Method.NewRequest = func() proto.Message { return &emptypb.Empty{} }
	return s.Serve(s.Begin(ctx, c), c, f)
}

// anyone authenticates everybody.
type anyone struct{}

func (anyone) Authenticate(context.Context, *Call) error { return nil }
func (anyone) Accepted(*Call)                            {}

// testFace is the face of a call with a body and a handler. It cannot decode a body of one byte.
type testFace struct {
	io.ReadCloser

	handle  func(context.Context) error
	decoded []byte
}

func (f *testFace) Cut() { _ = f.Close() }

func (f *testFace) Decode(body []byte, _ proto.Message) *seamerr.Error {
	f.decoded = bytes.Clone(body)
	if len(body) == 1 {
		return seamerr.InvalidMessage(nil)
	}
	return nil
}

func (f *testFace) Respond(ctx context.Context, _ func(context.Context) (proto.Message, error)) error {
	return f.handle(ctx)
}

// handling returns the face of a call without a body.
func handling(handle func(context.Context) error) *testFace {
	return &testFace{ReadCloser: http.NoBody, handle: handle}
}

// errorType is the type of an error, empty for none.
func errorType(err *seamerr.Error) string {
	if err == nil {
		return ""
	}
	return err.Type
}

// servedService is the service of method, on both faces.
func servedService() []Served {
	return []Served{{
		Description: &clientsessionv1.ClientSessionService_ServiceDesc, Faces: []string{FaceGRPC, FaceREST},
	}}
}

// count returns the value of a counter or a gauge.
func count(t *testing.T, of prometheus.Metric) float64 {
	t.Helper()
	var metric dto.Metric
	if err := of.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
}

// logLines is a log in memory.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newLog(level slog.Level) (*slog.Logger, *logLines) {
	log := &logLines{}
	return slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: level})), log
}

// lines returns the lines with that message, or all for an empty one.
func (l *logLines) lines(t *testing.T, message string) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if message == "" || line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

// only returns the one line of the log, and fails if there is another number of them.
func (l *logLines) only(t *testing.T) map[string]any {
	t.Helper()
	lines := l.lines(t, "")
	if len(lines) != 1 {
		t.Fatalf("%d lines: %s", len(lines), l)
	}
	return lines[0]
}
