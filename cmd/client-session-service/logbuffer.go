package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logBufferBytes is PIPE_BUF of Linux: lines of several processes that share a pipe do not mix, because no write is
	// longer, unless a line is.
	logBufferBytes = 4096
	// logDelay is how long a line may wait for others.
	logDelay = 10 * time.Millisecond
)

// logBuffer writes the lines of the log, several with one system call, which is most of what a line costs. A line waits
// only when another was written shortly before. Lines from level warn on never wait, and take with them those before.
// So a process that is killed loses the lines of its last 10 ms at the most, and none that says what was wrong.
type logBuffer struct {
	out io.Writer

	mu    sync.Mutex
	lines []byte
	// waiting is true from a write until no line has come for logDelay.
	waiting bool
}

// Write adds a line.
func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines)+len(line) > logBufferBytes {
		b.write()
	}
	b.lines = append(b.lines, line...)
	if !b.waiting {
		b.write()
		b.wait()
	}
	return len(line), nil
}

// flush writes the lines that have been added.
func (b *logBuffer) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write()
}

// wait lets the lines of the next logDelay wait, and goes on as long as there are any.
func (b *logBuffer) wait() {
	b.waiting = true
	time.AfterFunc(logDelay, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.waiting = len(b.lines) > 0; b.waiting {
			b.write()
			b.wait()
		}
	})
}

func (b *logBuffer) write() {
	if len(b.lines) > 0 {
		_, _ = b.out.Write(b.lines) // A log that cannot be written has nowhere to say so, and must not fail a call.
	}
	b.lines = b.lines[:0]
}

// bufferedHandler flushes the buffer that its handler writes to after a line from level warn on.
type bufferedHandler struct {
	slog.Handler

	buffer *logBuffer
}

// Handle writes the record.
func (h bufferedHandler) Handle(ctx context.Context, record slog.Record) error {
	err := h.Handler.Handle(ctx, record)
	if record.Level >= slog.LevelWarn {
		h.buffer.flush()
	}
	return err //nolint:wrapcheck // This handler is only around that one.
}

// WithAttrs returns a handler with the attributes.
func (h bufferedHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return bufferedHandler{h.Handler.WithAttrs(attributes), h.buffer}
}

// WithGroup returns a handler with the group.
func (h bufferedHandler) WithGroup(name string) slog.Handler {
	return bufferedHandler{h.Handler.WithGroup(name), h.buffer}
}
