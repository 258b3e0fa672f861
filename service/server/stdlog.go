package server

import (
	"context"
	"log/slog"
	"strings"

	"github.com/clientsession/client-session-service/service/text"
)

// StandardLog is the handler for logs that libraries write themselves: the standard log, and the error logs of HTTP
// servers. net/http quotes a peer there, which can be a response with a token, or a name of any length in a handshake.
// This handler removes what is quoted.
type StandardLog struct{ slog.Handler }

// Handle writes the line without the quotes. A client that leaves instead of a TLS handshake, as health checks of TCP
// do, is a line of the level debug.
func (l StandardLog) Handle(ctx context.Context, line slog.Record) error {
	level := slog.LevelWarn
	if strings.HasPrefix(line.Message, "http: TLS handshake error from ") &&
		(strings.HasSuffix(line.Message, ": EOF") || strings.HasSuffix(line.Message, ": connection reset by peer")) {
		level = slog.LevelDebug
	}
	if !l.Enabled(ctx, level) {
		return nil
	}
	muted := slog.NewRecord(line.Time, level, "standard log", line.PC)
	muted.AddAttrs(slog.String("text", text.Foreign(line.Message)))
	return l.Handler.Handle(ctx, muted)
}
