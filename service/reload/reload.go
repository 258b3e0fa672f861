// Package reload reloads files that change.
//
// Files are polled and compared by content, and not watched: Kubernetes swaps mounted files by a symbolic link of a
// directory above them, editors rename, and network file systems send no events. When a new content is invalid, the
// previous one stays in use.
//
// A file that is still being written can be valid so far, without a restriction that comes after. So a new content is
// applied only when two polls in a row have read the same. Where the content differs at every poll, it is enough that
// it stays the same for settleTime.
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
	// seen is what the last poll read, nil when it failed to read.
	seen     [][]byte
	failures prometheus.Counter
	// unsettled is how many polls in a row have read new contents that differ from those of the poll before.
	unsettled int
	// failing is true when the last poll failed.
	failing bool
}

const (
	// maxUnsettled is how many polls wait for the next one to read the same.
	maxUnsettled = 3
	// settleTime is how long contents that differ at every poll have to stay the same: longer than a file is written.
	settleTime = 400 * time.Millisecond
)

var errUnsettled = errors.New("the contents change all the time")

// Read reads the files and applies their contents. It fails if apply does: a service does not start with invalid files.
// what names the files in the log, and in each line of the error. Where it is one file, each violation names it too; of
// several files apply has to say which.
func Read(what string, paths []string, failures prometheus.Counter, apply func([][]byte) error) (*Files, error) {
	named := apply
	if len(paths) == 1 {
		named = func(contents [][]byte) error { return prefixed(paths[0], apply(contents)) }
	}
	f := &Files{what: what, paths: paths, apply: named, failures: failures}
	contents, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := f.apply(contents); err != nil {
		return nil, prefixed(what, err)
	}
	f.contents = contents
	return f, nil
}

// prefixed puts a text before each line of an error. Each violation is a line, among those of other files.
func prefixed(text string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(text + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+text+": "))
}

// Poll reads the files every interval until ctx ends. It applies new contents at the second poll that reads them, so
// within twice the interval, or at the third poll in a row that reads others than the poll before. A failed reload is
// logged and counted at every poll, and the previous contents stay in use. One Poll runs at a time.
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
	settled := !changed || same(contents, f.seen)
	f.seen = contents
	if f.unsettled++; settled {
		f.unsettled = 0
	}
	switch {
	case f.unsettled >= maxUnsettled:
		if err = f.settle(ctx, contents); err == nil {
			err = f.reapply(contents)
		} else if ctx.Err() != nil {
			return
		}
	case !settled:
		return
	case changed:
		err = f.reapply(contents)
	}
	if err != nil {
		f.failing = true
		f.failures.Inc()
		logger.LogAttrs(ctx, slog.LevelError, "reload failed: the previous contents stay in use",
			slog.String("what", f.what), slog.String("cause", err.Error()))
		return
	}
	// After failures, the recovery is logged too, even where the files are as they were before.
	if changed || f.failing {
		logger.LogAttrs(ctx, slog.LevelInfo, "reloaded", slog.String("what", f.what), slog.Bool("changed", changed))
	}
	f.contents, f.failing = contents, false
}

// reapply applies new contents. A panic over them is an error: on the goroutine of Poll it would end the process.
func (f *Files) reapply(contents [][]byte) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%s: panic with a value of type %T", f.what, value)
		}
	}()
	return f.apply(contents)
}

// settle fails unless the contents stay the same for settleTime.
func (f *Files) settle(ctx context.Context, contents [][]byte) error {
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	now, err := f.read()
	if err == nil && !same(now, contents) {
		err = fmt.Errorf("%s: %w", f.what, errUnsettled)
	}
	return err
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func (f *Files) read() ([][]byte, error) {
	contents := make([][]byte, len(f.paths))
	var errs []error
	for i, path := range f.paths {
		content, err := os.ReadFile(path) //nolint:gosec // The path is the operator's.
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.what, err))
		}
		contents[i] = content
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return contents, nil
}
