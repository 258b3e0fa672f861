package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// handleLogLevel lets an operator see the level of the log, and change it until the next start.
func handleLogLevel(mux *http.ServeMux, level *slog.LevelVar, logger *slog.Logger) {
	mux.HandleFunc("GET /loglevel", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, strings.ToLower(level.Level().String()))
	})
	mux.HandleFunc("PUT /loglevel", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16))
		var next slog.Level
		name := strings.TrimSpace(string(text))
		// A level between or beyond those that have a name, such as error+100, could silence the log.
		if err != nil || next.UnmarshalText([]byte(name)) != nil || strings.ContainsAny(name, "+-") {
			http.Error(w, "the level is one of debug, info, warn, error", http.StatusBadRequest)
			return
		}
		before := level.Level()
		level.Set(min(before, next)) // So that no change stays out of the log.
		logger.Warn("log level changed", slog.String("from", before.String()), slog.String("to", next.String()))
		level.Set(next)
		_, _ = fmt.Fprintln(w, strings.ToLower(next.String()))
	})
}
