package main

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/server"
)

const (
	// maxQueuedBytes bounds the lines that wait to be written. Lines of the level error may use errorBytes more.
	maxQueuedBytes, errorBytes = 1 << 20, 256 << 10
	// flushTimeout is how long the last lines may take at the end. A reader that does not read must not hold up the end.
	flushTimeout = 2 * time.Second
)

// logQueue is the writer of the log. A Write never waits for the reader of the log, however slow it is: one goroutine
// writes the lines, several at once, and those beyond the bound are dropped and counted.
type logQueue struct {
	out io.Writer
	// report is the log that is written to out at once. It tells how many lines were dropped.
	report *slog.Logger

	mu   sync.Mutex
	wake *sync.Cond
	// queued are the lines that wait, and writing is true while lines are being written.
	queued  []byte
	writing bool
	// dropped is how many lines were dropped in all, and reported how many of them the log has told of.
	dropped, reported int
}

// newLog returns the logger of the process and its queue. What libraries log goes the same way: the standard log, and
// that of grpc-go, which grpc-gateway writes to as well.
func newLog(cfg config.Config, out io.Writer) (*slog.Logger, *logQueue) {
	q := &logQueue{out: out, report: slog.New(newHandler(cfg, out))}
	q.wake = sync.NewCond(&q.mu)
	go q.run()
	handler := newHandler(cfg, q)
	libraries := slog.New(server.StandardLog{Handler: handler})
	slog.SetDefault(libraries)
	errorLines := slog.NewLogLogger(libraries.Handler(), slog.LevelWarn).Writer()
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, errorLines))
	return slog.New(handler), q
}

func newHandler(cfg config.Config, out io.Writer) slog.Handler {
	options := &slog.HandlerOptions{}
	if cfg.LogLevel != nil { // It is nil for arguments that cannot be parsed.
		options.Level = cfg.LogLevel
	}
	if cfg.LogFormat == "text" {
		return slog.NewTextHandler(out, options)
	}
	return slog.NewJSONHandler(out, options)
}

// Write implements io.Writer. It is called with one line at a time.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	most := maxQueuedBytes
	if isErrorLine(line) {
		most += errorBytes
	}
	if len(q.queued)+len(line) > most {
		q.dropped++
		return len(line), nil
	}
	q.queued = append(q.queued, line...)
	q.wake.Broadcast()
	return len(line), nil
}

// isErrorLine reports whether the level of a line is error. The level is the second member, before any text of a
// caller.
func isErrorLine(line []byte) bool {
	head := line[:min(len(line), len(`{"time":"2006-01-02T15:04:05.000000000+00:00","level":"ERROR"`))]
	return bytes.Contains(head, []byte(`"level":"ERROR"`)) || bytes.Contains(head, []byte(` level=ERROR`))
}

// run writes the lines for as long as the process lives.
func (q *logQueue) run() {
	var lines []byte
	for {
		q.mu.Lock()
		q.writing = false
		q.wake.Broadcast()
		for len(q.queued) == 0 && q.dropped == q.reported {
			q.wake.Wait()
		}
		lines, q.queued = q.queued, lines[:0]
		dropped := q.dropped - q.reported
		q.reported, q.writing = q.dropped, true
		q.mu.Unlock()
		if _, err := q.out.Write(lines); err != nil {
			q.mu.Lock()
			lost := bytes.Count(lines, []byte("\n"))
			q.dropped += lost
			q.reported += lost // There is nobody to tell.
			q.mu.Unlock()
		}
		if dropped > 0 {
			q.report.Warn("log lines were dropped", slog.Int("lines", dropped))
		}
	}
}

// droppedLines returns how many lines were dropped.
func (q *logQueue) droppedLines() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return float64(q.dropped)
}

// flush waits until all lines are written, but no longer than flushTimeout.
func (q *logQueue) flush() {
	late := false
	timer := time.AfterFunc(flushTimeout, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		late = true
		q.wake.Broadcast()
	})
	defer timer.Stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for !late && (q.writing || len(q.queued) > 0) {
		q.wake.Wait()
	}
}
