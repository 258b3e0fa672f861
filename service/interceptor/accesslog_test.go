package interceptor_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestAccessLogLevels(t *testing.T) {
	const health = "/grpc.health.v1.Health/Check"
	for name, test := range map[string]struct {
		method string
		err    error
		level  string
		code   string
	}{
		"good":              {method, nil, "INFO", "OK"},
		"caller's error":    {method, seamerr.Unauthorized(), "INFO", "Unauthenticated"},
		"not there":         {method, seamerr.NotFound(), "INFO", "NotFound"},
		"canceled":          {method, context.Canceled, "INFO", "Canceled"},
		"Seam is down":      {method, seamerr.Unreachable(nil), "WARN", "Unavailable"},
		"Seam is slow":      {method, context.DeadlineExceeded, "WARN", "DeadlineExceeded"},
		"rate limited":      {method, &seamerr.Error{HTTPStatus: 429, Type: "rate_limited"}, "WARN", "ResourceExhausted"},
		"malformed":         {method, seamerr.InvalidResponse(nil), "ERROR", "Internal"},
		"anything else":     {method, errors.New("x"), "ERROR", "Internal"},
		"unknown":           {method, status.Error(codes.Unknown, "x"), "ERROR", "Unknown"},
		"data loss":         {method, status.Error(codes.DataLoss, "x"), "ERROR", "DataLoss"},
		"health":            {health, nil, "DEBUG", "OK"},
		"health not found":  {health, status.Error(codes.NotFound, "x"), "DEBUG", "NotFound"},
		"health that fails": {health, seamerr.Internal(nil), "ERROR", "Internal"},
		"looks like health": {"/grpc.health.v10.Health/Check", nil, "INFO", "OK"},
	} {
		t.Run(name, func(t *testing.T) {
			logger, log := newLog(slog.LevelDebug)
			got, err := interceptor.AccessLog(logger, nil)(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: test.method}, respond("response", test.err))
			if got != "response" || !errors.Is(err, test.err) {
				t.Errorf("response %v, error %v; want those of the handler", got, err)
			}
			line := log.only(t)
			if line["level"] != test.level || line["code"] != test.code || line["method"] != test.method || line["msg"] != "call" {
				t.Errorf("line is %v", line)
			}
		})
	}
}

func TestAccessLogAttributes(t *testing.T) {
	const secret = "seam_secret"
	incoming := metadata.Pairs("authorization", "Bearer "+secret, "x-request-id", "r")
	for name, test := range map[string]struct {
		call callinfo.Call
		err  error
		want map[string]any
	}{
		"good": {
			callinfo.Call{Face: "rest", RequestID: "r-1", SeamStatus: 200, SeamRequestID: "s-1", Attempts: 2, SeamDuration: 1500 * time.Microsecond, TraceID: "0af7651916cd43dd8448eb211c80319c"},
			nil,
			map[string]any{
				"face": "rest", "request_id": "r-1", "trace_id": "0af7651916cd43dd8448eb211c80319c", "seam_status": 200.0, "seam_request_id": "s-1",
				"attempts": 2.0, "seam_duration_us": 1500.0, "code": "OK", "http_status": 200.0, "peer": "192.0.2.1:5",
			},
		},
		"Seam was not asked": {
			callinfo.Call{Face: "grpc", RequestID: "r-1"},
			nil,
			map[string]any{"face": "grpc", "request_id": "r-1", "code": "OK", "http_status": 200.0, "peer": "192.0.2.1:5"},
		},
		"failure": {
			callinfo.Call{Face: "grpc", RequestID: "r-1"},
			seamerr.Unreachable(errors.New("dial: refused")),
			map[string]any{
				"face": "grpc", "request_id": "r-1", "code": "Unavailable", "http_status": 503.0, "peer": "192.0.2.1:5",
				"type": "upstream_unreachable", "cause": "dial: refused",
			},
		},
		"failure without a cause": {
			callinfo.Call{Face: "grpc", RequestID: "r-1"},
			seamerr.Unauthorized(),
			map[string]any{"face": "grpc", "request_id": "r-1", "code": "Unauthenticated", "http_status": 401.0, "peer": "192.0.2.1:5", "type": "unauthorized"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.call.SeamHeader = map[string][]string{"Authorization": {"Bearer " + secret}}
			test.call.Metadata = incoming
			ctx, _ := withCall(t, test.call)
			ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}})
			for _, served := range [][]interceptor.Served{nil, {servedService()}} {
				logger, log := newLog(slog.LevelInfo)
				_, _ = interceptor.AccessLog(logger, nil, served...)(ctx, secret, info(), respond(secret, test.err))
				line := log.only(t)
				if took, ok := line["duration_us"].(float64); !ok || took < 0 || took > 60e6 {
					t.Errorf("duration is %v", line["duration_us"])
				}
				if line["method"] != method {
					t.Errorf("method is %v", line["method"])
				}
				for _, own := range []string{"time", "level", "msg", "method", "duration_us"} {
					delete(line, own)
				}
				// Equal, and not only contained: what is not listed may be a secret.
				if !maps.Equal(line, test.want) {
					t.Errorf("line is %v, want %v", line, test.want)
				}
				if strings.Contains(log.String(), secret) {
					t.Errorf("a secret is logged: %s", log)
				}
			}
		})
	}
}

func TestAccessLogBelowTheLevel(t *testing.T) {
	logger, log := newLog(slog.LevelWarn)
	_, _ = interceptor.AccessLog(logger, nil)(t.Context(), nil, info(), respond(nil, nil))
	if log.Len() != 0 {
		t.Errorf("log is %s", log)
	}
	_, _ = interceptor.AccessLog(logger, nil)(t.Context(), nil, info(), respond(nil, seamerr.Unreachable(nil)))
	if keys := slices.Sorted(maps.Keys(log.only(t))); !slices.Contains(keys, "type") {
		t.Errorf("line has %q", keys)
	}
}
