package call

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const method = clientsessionv1.ClientSessionService_GrantAccess_FullMethodName

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
type logLines struct{ bytes.Buffer }

func newLog(level slog.Level) (*slog.Logger, *logLines) {
	log := &logLines{}
	return slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: level})), log
}

// lines returns the lines with that message, or all for an empty one.
func (l *logLines) lines(t *testing.T, message string) (lines []map[string]any) {
	t.Helper()
	for text := range bytes.Lines(l.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
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
