package server

import (
	"context"
	"log/slog"
	"strings"
)

// maxOutsideBytes bounds a text in the log of which parts may be the peer's.
const maxOutsideBytes = 200

// StandardLog is the handler for logs that libraries write themselves: the standard log, and the error logs of HTTP
// servers. net/http quotes a peer there, which can be a response with a token, or a name of any length in a handshake.
// This handler removes the quotes.
type StandardLog struct{ slog.Handler }

// Handle writes the line up to the first quote.
func (l StandardLog) Handle(ctx context.Context, line slog.Record) error {
	muted := slog.NewRecord(line.Time, slog.LevelWarn, "standard log", line.PC)
	muted.AddAttrs(slog.String("text", cutAtQuote(line.Message)))
	return l.Handler.Handle(ctx, muted)
}

// cutAtQuote cuts a text at its first quote, and at a length.
func cutAtQuote(text string) string {
	text, _, _ = strings.Cut(text, `"`)
	return strings.ToValidUTF8(text[:min(len(text), maxOutsideBytes)], "")
}
