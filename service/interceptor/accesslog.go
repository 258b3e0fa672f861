package interceptor

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// AccessLog writes one line for each call, with the real cause of a failure, which is logged here only. It logs no
// header and no member of a message, so no secret can reach the log. Durations are whole numbers of microseconds: to
// format a fraction costs slog a percent of a call. trusted are the networks whose X-Forwarded-For is trusted. The
// beginning of the line of a success is formatted once for each method that is served, and not for each call.
func AccessLog(logger *slog.Logger, trusted []netip.Prefix, served ...Served) grpc.UnaryServerInterceptor {
	l := accessLog{logger, trusted, map[servedMethod]slog.Handler{}}
	for method := range methodsOf(served) {
		l.successes[method] = logger.Handler().WithAttrs(resultAttributes(nil, method, nil))
	}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		start := time.Now()
		response, err := handler(ctx, request)
		l.write(ctx, info.FullMethod, start, seamerr.From(err))
		return response, err
	}
}

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
const maxAttributes = 18

// write writes the line. It is a separate function, so that its variables are not on the stack of a call in flight.
func (l *accessLog) write(ctx context.Context, fullMethod string, start time.Time, failure *seamerr.Error) {
	level := levelOf(failure, fullMethod)
	if !l.logger.Enabled(ctx, level) {
		return
	}
	now, call := time.Now(), callinfo.FromContext(ctx)
	var array [maxAttributes]slog.Attr
	attributes, method := array[:0], servedMethod{call.Face, fullMethod}
	handler, known := l.successes[method]
	if !known || failure != nil {
		handler, attributes = l.logger.Handler(), resultAttributes(attributes, method, failure)
	}
	attributes = append(attributes,
		slog.Int64("duration_us", now.Sub(start).Microseconds()),
		slog.String("request_id", call.RequestID),
	)
	if call.TraceID != "" {
		attributes = append(attributes, slog.String("trace_id", call.TraceID))
	}
	if address := clientAddress(ctx, call.Metadata, l.trusted); address != "" {
		attributes = append(attributes, slog.String("peer", address))
	}
	if call.Caller != "" {
		attributes = append(attributes, slog.String("caller", call.Caller))
	}
	if call.SeamStatus != 0 {
		attributes = append(attributes,
			slog.Int("seam_status", call.SeamStatus), slog.String("seam_request_id", call.SeamRequestID))
	}
	if call.Attempts > 0 {
		attributes = append(attributes,
			slog.Int("attempts", call.Attempts), slog.Int64("seam_duration_us", call.SeamDuration.Microseconds()))
	}
	if call.RetryReason != nil {
		attributes = append(attributes, slog.String("retry_reason", clip(call.RetryReason.Error(), maxCauseBytes)))
	}
	if len(call.Skipped) > 0 {
		attributes = append(attributes, slog.String("skipped_members", strings.Join(call.Skipped, ",")))
	}
	if failure != nil {
		attributes = append(attributes, slog.String("type", clip(failure.Type, maxTypeBytes)))
		if failure.OutcomeUnknown {
			attributes = append(attributes, slog.String("outcome", "unknown"))
		}
		if failure.Cause != nil {
			attributes = append(attributes, slog.String("cause", clip(failure.Cause.Error(), maxCauseBytes)))
		}
	}
	// Not by LogAttrs, which walks the stack for the place in the source, which no line has.
	record := slog.NewRecord(now, level, "call", 0)
	record.AddAttrs(attributes...)
	_ = handler.Handle(ctx, record)
}

// The maximum length in a line of texts that may have parts from outside.
const maxTypeBytes, maxCauseBytes = 64, 512

// clip cuts a text to a length in bytes.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}

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
