package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/clientsession/client-session-service/service/config"
)

// reader is a reader of the log that reads only while it may.
type reader struct {
	may sync.Mutex

	mu   sync.Mutex
	text bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	r.may.Lock()
	defer r.may.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *reader) read() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func newTestLog(format string, out io.Writer) (*slog.Logger, *logQueue) {
	var cfg config.Config
	cfg.LogFormat, cfg.LogLevel = format, new(slog.LevelVar)
	return newLog(cfg, out)
}

// TestUnreadLog shows that no line waits for the reader of the log, that the lines beyond the bound are dropped, those of
// the level error last, and that the log tells of it once it is read again.
func TestUnreadLog(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			out := &reader{}
			logger, queue := newTestLog(format, out)
			out.may.Lock()
			logger.Info("first", slog.String("level", `"level":"ERROR"`))
			long := strings.Repeat("x", 1000)
			for range 4000 {
				logger.Info("call", slog.String("x", long), slog.String("y", `"level":"ERROR" level=ERROR`))
			}
			before := queue.droppedLines()
			for range 10 {
				logger.Error("cause")
			}
			if before < 1000 || queue.droppedLines() != before {
				t.Errorf("%v lines were dropped, and then %v", before, queue.droppedLines())
			}
			began := time.Now()
			queue.flush()
			if waited := time.Since(began); waited < flushTimeout || waited > flushTimeout+time.Second {
				t.Errorf("the flush of a log that is not read took %s", waited)
			}
			out.may.Unlock()
			queue.flush()
			text := out.read()
			lines := strings.Count(text, "\n")
			if lines < 900 || strings.Count(text, "cause") != 10 || strings.Index(text, "first") > 100 {
				t.Errorf("%d lines were written, the first %.100s", lines, text)
			}
			for !strings.Contains(out.read(), "log lines were dropped") {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// TestLogOfLibraries shows that what libraries log goes into the log, without what they quote.
func TestLogOfLibraries(t *testing.T) {
	out := &reader{}
	_, queue := newTestLog("json", out)
	grpclog.Errorf("Failed to write response: %q", "seam_secret")
	queue.flush()
	if text := out.read(); !strings.Contains(text, "Failed to write response") || strings.Contains(text, "seam_secret") {
		t.Errorf("the log is %s", text)
	}
}

// TestLogWithoutReader shows that a reader that has gone costs lines and nothing else.
func TestLogWithoutReader(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	defer out.Close()
	logger, queue := newTestLog("json", out)
	for range 3 {
		logger.Info("line")
		queue.flush()
	}
	if dropped := queue.droppedLines(); dropped != 3 {
		t.Errorf("%v lines were dropped", dropped)
	}
}
