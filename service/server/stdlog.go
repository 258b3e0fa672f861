package server

import (
	"context"
	"log/slog"

	"github.com/clientsession/client-session-service/service/text"
)

// StandardLog is the handler for logs that libraries write themselves: the standard log, and the error logs of HTTP
// servers. net/http quotes a peer there, which can be a response with a token, or a name of any length in a handshake.
// This handler removes what is quoted.
type StandardLog struct{ slog.Handler }

// Handle writes the line without the quotes.
func (l StandardLog) Handle(ctx context.Context, line slog.Record) error {
	muted := slog.NewRecord(line.Time, slog.LevelWarn, "standard log", line.PC)
	muted.AddAttrs(slog.String("text", text.Foreign(line.Message)))
	return l.Handler.Handle(ctx, muted)
}
