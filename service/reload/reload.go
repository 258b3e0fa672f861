// Package reload keeps what was read from files up to date.
//
// Files are polled and compared by content, and not watched: Kubernetes swaps mounted files by a symbolic link of a
// folder above them, editors rename, and network file systems tell nobody. A faulty new content keeps the old one.
//
// A file that is still being written can be a good file so far, in which a restriction is missing that comes after. So
// a new content is used only when two looks in a row have found the same.
package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Files are files that are read together, such as a certificate and its key.
type Files struct {
	what     string
	paths    []string
	apply    func(contents [][]byte) error
	contents [][]byte
	// seen is what the last look found, nil when it could not read.
	seen     [][]byte
	failures prometheus.Counter
	// failing is true when the last look failed.
	failing bool
}

// Read reads the files and hands their contents to use, which says whether they are any good. It fails if they are not:
// a service does not start with files that it cannot use. what names them in the log, and in each line of the error.
func Read(what string, paths []string, failures prometheus.Counter, use func([][]byte) error) (*Files, error) {
	f := &Files{what: what, paths: paths, apply: use, failures: failures}
	contents, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := use(contents); err != nil {
		// Each fault is a line, and stands among those of other files.
		return nil, errors.New(what + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+what+": "))
	}
	f.contents = contents
	return f, nil
}

// Poll looks at the files again every interval until ctx ends, and has new contents used, at the second look that finds
// them: within twice the interval. What cannot be used is logged and counted at every look from then on, and what was
// there before stays in use.
// One Poll runs at a time.
func (f *Files) Poll(ctx context.Context, interval time.Duration, logger *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.refresh(ctx, logger)
		}
	}
}

func (f *Files) refresh(ctx context.Context, logger *slog.Logger) {
	contents, err := f.read()
	changed := err == nil && !same(contents, f.contents)
	settled := same(contents, f.seen)
	f.seen = contents
	if changed && !settled {
		return
	}
	if changed {
		err = f.apply(contents)
	}
	if err != nil {
		f.failing = true
		f.failures.Inc()
		logger.LogAttrs(ctx, slog.LevelError, "cannot reload: what was read before stays in use",
			slog.String("what", f.what), slog.String("cause", err.Error()))
		return
	}
	// Who saw the failures wants to see that they are over, also where the files are what they were.
	if changed || f.failing {
		logger.LogAttrs(ctx, slog.LevelInfo, "reloaded", slog.String("what", f.what), slog.Bool("changed", changed))
	}
	f.contents, f.failing = contents, false
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func (f *Files) read() ([][]byte, error) {
	contents := make([][]byte, len(f.paths))
	var faults []error
	for i, path := range f.paths {
		content, err := os.ReadFile(path) //nolint:gosec // The path is the operator's.
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", f.what, err))
		}
		contents[i] = content
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return contents, nil
}
