package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes records each write to it, which fails while err is set.
type writes struct {
	mu   sync.Mutex
	each []string
	err  error
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.each = append(w.each, string(p))
	return len(p), nil
}

// lines returns the messages of the lines of each write.
func (w *writes) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var messages []string
	for _, written := range w.each {
		var of []string
		for line := range strings.Lines(written) {
			_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			of = append(of, message)
		}
		messages = append(messages, strings.Join(of, " "))
	}
	return messages
}

func bufferedLog(out *writes) (*slog.Logger, *logBuffer) {
	buffer := &logBuffer{out: out}
	return slog.New(bufferedHandler{slog.NewTextHandler(buffer, nil), buffer}), buffer
}

// TestLogBuffer shows how long a line waits, and what is written with it.
func TestLogBuffer(t *testing.T) {
	half, long := strings.Repeat("h", logBufferBytes/2-60), strings.Repeat("l", logBufferBytes+100)
	for name, test := range map[string]struct {
		log func(*slog.Logger, *logBuffer)
		// want are the writes at once, and later those after logDelay.
		want, later []string
	}{
		"a line alone does not wait": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a") },
			[]string{"a"},
			[]string{"a"},
		},
		"lines shortly after another wait": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.Info("b"); l.Info("c") },
			[]string{"a"},
			[]string{"a", "b c"},
		},
		"a warning does not wait": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.Info("b"); l.Warn("c"); l.Info("d") },
			[]string{"a", "b c"},
			[]string{"a", "b c", "d"},
		},
		"nor an error, with attributes": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.With("x", 1).WithGroup("g").Error("b") },
			[]string{"a", "b x=1"},
			[]string{"a", "b x=1"},
		},
		"the end": {
			func(l *slog.Logger, b *logBuffer) { l.Info("a"); l.Info("b"); b.flush(); b.flush() },
			[]string{"a", "b"},
			[]string{"a", "b"},
		},
		"a full buffer": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.Info(half); l.Info(half); l.Info("b") },
			[]string{"a", half + " " + half},
			[]string{"a", half + " " + half, "b"},
		},
		"a line over the buffer": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.Info("b"); l.Info(long); l.Info("c") },
			[]string{"a", "b", long},
			[]string{"a", "b", long, "c"},
		},
		"a second later": {
			func(l *slog.Logger, _ *logBuffer) { l.Info("a"); l.Info("b"); time.Sleep(time.Second); l.Info("c") },
			[]string{"a", "b", "c"},
			[]string{"a", "b", "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &writes{}
				test.log(bufferedLog(out))
				if got := out.lines(); !slices.Equal(got, test.want) {
					t.Errorf("at once %.20q was written, want %.20q", got, test.want)
				}
				time.Sleep(logDelay)
				synctest.Wait()
				if got := out.lines(); !slices.Equal(got, test.later) {
					t.Errorf("later %.20q was written, want %.20q", got, test.later)
				}
			})
		})
	}
}

// TestLogBufferAfterAFailedWrite shows that a full disk costs the lines of its time and no others.
func TestLogBufferAfterAFailedWrite(t *testing.T) {
	out := &writes{err: errors.New("no space left on device")}
	logger, _ := bufferedLog(out)
	logger.Warn("a")
	out.err = nil
	logger.Warn("b")
	if got := out.lines(); len(got) != 1 || got[0] != "b" {
		t.Errorf("%q was written", got)
	}
}

// TestLogBufferKeepsLinesWhole shows that concurrent lines stay whole and none is lost.
func TestLogBufferKeepsLinesWhole(t *testing.T) {
	const loggers, lines = 8, 500
	out := &writes{}
	logger, buffer := bufferedLog(out)
	var all sync.WaitGroup
	for i := range loggers {
		all.Go(func() {
			for j := range lines {
				level := slog.LevelInfo
				if j%50 == 0 {
					level = slog.LevelWarn
				}
				logger.Log(t.Context(), level, "line", slog.Int("by", i), slog.Int("number", j))
			}
		})
	}
	all.Wait()
	buffer.flush()
	seen := map[string]bool{}
	for _, written := range out.each {
		if len(written) > logBufferBytes || !strings.HasSuffix(written, "\n") {
			t.Errorf("%d bytes were written at once: %.50q", len(written), written)
		}
		for line := range bytes.Lines([]byte(written)) {
			var by, number int
			_, rest, _ := bytes.Cut(line, []byte("msg=line "))
			if n, err := fmt.Sscanf(string(rest), "by=%d number=%d\n", &by, &number); n != 2 || err != nil {
				t.Errorf("a torn line: %q", line)
			}
			seen[string(rest)] = true
		}
	}
	if len(seen) != loggers*lines || len(out.each) > loggers*lines/2 {
		t.Errorf("%d lines in %d writes, want %d", len(seen), len(out.each), loggers*lines)
	}
}
