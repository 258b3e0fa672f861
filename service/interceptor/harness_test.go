package interceptor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const method = "/seam.clientsession.v1.ClientSessionService/GrantAccess"

func info() *grpc.UnaryServerInfo { return &grpc.UnaryServerInfo{FullMethod: method} }

// servedService is the service of method, on both faces.
func servedService() interceptor.Served {
	return interceptor.Served{
		Description: &clientsessionv1.ClientSessionService_ServiceDesc,
		Faces:       []string{callinfo.FaceGRPC, callinfo.FaceREST},
	}
}

// respond returns a handler with a fixed response.
func respond(response any, err error) grpc.UnaryHandler {
	return func(context.Context, any) (any, error) { return response, err }
}

// withCall returns a context with the record of a call.
func withCall(t *testing.T, call callinfo.Call) (context.Context, *callinfo.Call) {
	t.Helper()
	return callinfo.NewContext(t.Context(), &call), &call
}

// asError fails unless err is an *seamerr.Error, which is the error of every step.
func asError(t *testing.T, err error) *seamerr.Error {
	t.Helper()
	var e *seamerr.Error
	if !errors.As(err, &e) {
		t.Fatalf("error of type %T: %v", err, err)
	}
	return e
}

// logLines is a log in memory.
type logLines struct{ bytes.Buffer }

func newLog(level slog.Level) (*slog.Logger, *logLines) {
	log := &logLines{}
	return slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: level})), log
}

// only returns the one line of the log, and fails if there is another number of them.
func (l *logLines) only(t *testing.T) map[string]any {
	t.Helper()
	if n := bytes.Count(l.Bytes(), []byte("\n")); n != 1 {
		t.Fatalf("%d lines: %s", n, l)
	}
	var line map[string]any
	if err := json.Unmarshal(l.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	return line
}
