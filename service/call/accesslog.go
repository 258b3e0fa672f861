package call

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// newAccessLog returns the access log. trusted are the networks whose X-Forwarded-For is trusted. The beginning of the
// line of a success is formatted once for each method that is served, and not for each call.
func newAccessLog(logger *slog.Logger, trusted []netip.Prefix, served []Served) *accessLog {
	l := &accessLog{logger, trusted, map[servedMethod]slog.Handler{}}
	for method := range methodsOf(served) {
		l.successes[method] = logger.Handler().WithAttrs(resultAttributes(nil, method, nil))
	}
	return l
}

// accessLog writes one line for each call, with the real cause of a failure, which is logged here only. It logs no
// header and no member of a message, so no secret can reach the log. Durations are whole numbers of microseconds: to
// format a fraction costs slog a percent of a call.
type accessLog struct {
	logger  *slog.Logger
	trusted []netip.Prefix
	// successes are the handlers that write lines which begin like that of a success of a method.
	successes map[servedMethod]slog.Handler
}

// resultAttributes appends the attributes that a line begins with.
func resultAttributes(to []slog.Attr, method servedMethod, failure *seamerr.Error) []slog.Attr {
	return append(to,
		slog.String("method", method.fullMethod),
		slog.String("face", method.face),
		slog.String("code", codeOf(failure).String()),
		slog.Int("http_status", httpStatusOf(failure)))
}

// maxAttributes is how many attributes a line has at the most.
const maxAttributes = 19

// write writes the line.
func (l *accessLog) write(ctx context.Context, c *Call, start time.Time, failure *seamerr.Error) {
	level := levelOf(failure, c.Method.FullMethod)
	if !l.logger.Enabled(ctx, level) {
		return
	}
	now := time.Now()
	var array [maxAttributes]slog.Attr
	attributes, method := array[:0], servedMethod{c.Face, c.Method.FullMethod}
	handler, known := l.successes[method]
	if !known || failure != nil {
		handler, attributes = l.logger.Handler(), resultAttributes(attributes, method, failure)
	}
	attributes = append(attributes,
		slog.Int64("duration_us", now.Sub(start).Microseconds()),
		slog.String("call_id", c.CallID),
	)
	if c.TraceID != "" {
		attributes = append(attributes, slog.String("trace_id", c.TraceID))
	}
	if address := clientAddress(c, l.trusted); address != "" {
		attributes = append(attributes, slog.String("peer", address))
	}
	if c.Caller != "" {
		attributes = append(attributes, slog.String("caller", c.Caller))
	}
	if c.SeamStatus != 0 {
		attributes = append(attributes,
			slog.Int("seam_status", c.SeamStatus), slog.String("seam_request_id", c.SeamRequestID))
	}
	if c.Attempts > 0 {
		attributes = append(attributes,
			slog.Int("attempts", c.Attempts), slog.Int64("seam_duration_us", c.SeamDuration.Microseconds()))
	}
	if c.RetryReason != nil {
		attributes = append(attributes, slog.String("retry_reason", text.Cut(c.RetryReason.Error(), maxCauseBytes)))
	}
	if len(c.Skipped) > 0 {
		attributes = append(attributes, slog.String("skipped_members", strings.Join(c.Skipped, ",")))
	}
	if failure != nil {
		attributes = append(attributes, slog.String("type", text.Cut(failure.TypeName(), maxTypeBytes)))
		if failure.RetryAfter != nil {
			attributes = append(attributes, slog.Int64("retry_after_ms", failure.RetryAfter.Milliseconds()))
		}
		if failure.OutcomeUnknown {
			attributes = append(attributes, slog.String("outcome", "unknown"))
		}
		if failure.Cause != nil {
			attributes = append(attributes, slog.String("cause", text.Cut(failure.Cause.Error(), maxCauseBytes)))
		}
	}
	// Not by LogAttrs, which walks the stack for the place in the source, which no line has.
	record := slog.NewRecord(now, level, "call", 0)
	record.AddAttrs(attributes...)
	_ = handler.Handle(ctx, record)
}

// The maximum length in a line of texts that may have parts from outside.
const maxTypeBytes, maxCauseBytes = 64, 512

func codeOf(failure *seamerr.Error) codes.Code {
	if failure == nil {
		return codes.OK
	}
	return failure.GRPCCode()
}

// httpStatusOf returns the HTTP status of a call: that of its response over REST, and over gRPC the one in its details.
func httpStatusOf(failure *seamerr.Error) int {
	if failure == nil {
		return http.StatusOK
	}
	return failure.HTTPStatus
}

// levelOf returns the level of a call's line. Error: an operator must act. Warn: an operator may soon have to. Info:
// the rest, errors of the caller included. Debug: health checks, which are many and all alike.
func levelOf(failure *seamerr.Error, fullMethod string) slog.Level {
	switch codeOf(failure) {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return slog.LevelWarn
	}
	if isHealthCheck(fullMethod) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func isHealthCheck(fullMethod string) bool { return strings.HasPrefix(fullMethod, "/grpc.health.v1.") }
