package server

import (
	"context"
	"log/slog"
	"strings"
)

// maxOutsideBytes bounds what is logged of a text whose parts may be the other end's.
const maxOutsideBytes = 200

// StandardLog is the handler for what libraries write to a log of their own accord: the standard log, and the error
// logs of HTTP servers. net/http quotes there what came over a connection, and that can be a response with a token, or
// a name of any length out of a handshake. No line of this handler quotes anything.
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
