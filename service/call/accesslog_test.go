package call

import (
	"errors"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestAccessLogLevels shows the levels of lines, and that a line below the level of the log is not written.
func TestAccessLogLevels(t *testing.T) {
	const health = "/grpc.health.v1.Health/Check"
	for name, test := range map[string]struct {
		method  string
		failure *seamerr.Error
		level   slog.Level
		code    string
	}{
		"good":              {method, nil, slog.LevelInfo, "OK"},
		"caller's error":    {method, seamerr.Unauthorized(), slog.LevelInfo, "Unauthenticated"},
		"not there":         {method, seamerr.NotFound(), slog.LevelInfo, "NotFound"},
		"canceled":          {method, seamerr.Canceled(nil), slog.LevelInfo, "Canceled"},
		"Seam is down":      {method, seamerr.Unreachable(nil), slog.LevelWarn, "Unavailable"},
		"Seam is slow":      {method, seamerr.Timeout(nil), slog.LevelWarn, "DeadlineExceeded"},
		"rate limited":      {method, &seamerr.Error{HTTPStatus: 429, Type: "rate_limited"}, slog.LevelWarn, "ResourceExhausted"},
		"malformed":         {method, seamerr.InvalidResponse(nil), slog.LevelError, "Internal"},
		"unknown":           {method, &seamerr.Error{Code: codes.Unknown}, slog.LevelError, "Unknown"},
		"data loss":         {method, &seamerr.Error{Code: codes.DataLoss}, slog.LevelError, "DataLoss"},
		"health":            {health, nil, slog.LevelDebug, "OK"},
		"health not found":  {health, seamerr.NotFound(), slog.LevelDebug, "NotFound"},
		"health that fails": {health, seamerr.Internal(nil), slog.LevelError, "Internal"},
		"looks like health": {"/grpc.health.v10.Health/Check", nil, slog.LevelInfo, "OK"},
	} {
		t.Run(name, func(t *testing.T) {
			for above, lines := range []int{1, 0} {
				logger, log := newLog(test.level + slog.Level(above))
				c := &Call{Face: FaceGRPC, Method: &Method{FullMethod: test.method}}
				newAccessLog(logger, nil, servedService()).write(t.Context(), c, time.Now(), test.failure)
				got := log.lines(t, "call")
				if len(got) != lines || lines > 0 && (got[0]["level"] != test.level.String() || got[0]["code"] != test.code) {
					t.Errorf("the log from the level %s on is %s", test.level+slog.Level(above), log)
				}
			}
		})
	}
}

// TestAccessLogAttributes shows all that a line has, and that it has no secret.
func TestAccessLogAttributes(t *testing.T) {
	const secret = "seam_secret"
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	unknown := seamerr.Unreachable(errors.New(strings.Repeat("c", 600))).WithUnknownOutcome(true)
	unknown.Type = strings.Repeat("t", 63) + "é"
	for name, test := range map[string]struct {
		call    Call
		failure *seamerr.Error
		want    map[string]any // Beside those that every line has.
	}{
		"good": {
			Call{SeamStatus: 200, SeamRequestID: "s-1", Attempts: 1, SeamDuration: 1500 * time.Microsecond, TraceID: traceID},
			nil,
			map[string]any{
				"code": "OK", "http_status": 200.0, "trace_id": traceID, "seam_status": 200.0, "seam_request_id": "s-1",
				"attempts": 1.0, "seam_duration_us": 1500.0,
			},
		},
		"Seam was not asked": {Call{}, nil, map[string]any{"code": "OK", "http_status": 200.0}},
		"failure without a cause": {
			Call{},
			seamerr.Unauthorized(),
			map[string]any{"code": "Unauthenticated", "http_status": 401.0, "type": "unauthorized"},
		},
		"everything, and long texts": {
			Call{
				Caller: "jobs", SeamStatus: 503, SeamRequestID: "s-1", Attempts: 2, TraceID: traceID,
				RetryReason: errors.New(strings.Repeat("r", 600)), Skipped: []string{"a", "b"},
			},
			unknown,
			map[string]any{
				"code": "Unavailable", "http_status": 503.0, "trace_id": traceID, "caller": "jobs", "seam_status": 503.0,
				"seam_request_id": "s-1", "attempts": 2.0, "seam_duration_us": 0.0, "retry_reason": strings.Repeat("r", 512),
				"skipped_members": "a,b", "type": strings.Repeat("t", 63), "outcome": "unknown", "cause": strings.Repeat("c", 512),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &test.call
			c.Face, c.Method, c.CallID = FaceREST, &Method{FullMethod: method}, "r-1"
			c.Peer = peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}}
			c.SeamHeader = map[string][]string{"Authorization": {"Bearer " + secret}}
			c.Metadata = metadata.Pairs("authorization", "Bearer "+secret, "x-request-id", "r")
			maps.Copy(test.want, map[string]any{
				"msg": "call", "method": method, "face": "rest", "call_id": "r-1", "peer": "192.0.2.1:5", "duration_us": 7.0,
			})
			for _, served := range [][]Served{nil, servedService()} {
				logger, log := newLog(slog.LevelInfo)
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					time.Sleep(7 * time.Microsecond)
					newAccessLog(logger, nil, served).write(t.Context(), c, start, test.failure)
				})
				line := log.only(t)
				delete(line, "time")
				delete(line, "level")
				// Equal, and not only contained: what is not listed may be a secret.
				if !maps.Equal(line, test.want) {
					t.Errorf("line is %v, want %v", line, test.want)
				}
			}
		})
	}
}
