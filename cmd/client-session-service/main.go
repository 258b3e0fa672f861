// Command client-session-service serves Seam's client sessions API as gRPC and REST.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/server"
)

// version is set at build time with -ldflags.
var version = "dev"

// The exit codes: 1 when the service failed, 2 when its configuration is invalid.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	cfg, err := config.Parse(args, version, stdout)
	if errors.Is(err, config.ErrDone) {
		return 0
	}
	if err != nil {
		return usageError(cfg, stderr, errors.Join(err, server.CheckFiles(cfg)))
	}
	switch cfg.Command {
	case config.CheckConfig:
		if err := server.CheckFiles(cfg); err != nil {
			return usageError(cfg, stderr, err)
		}
		_, err = fmt.Fprintln(stdout, "the configuration is valid")
	case config.NewToken:
		err = printToken(stdout)
	case config.CheckCallers:
		if err := checkCallers(cfg.CallersFile); err != nil {
			return usageError(cfg, stderr, err)
		}
	case config.Healthcheck:
		err = healthcheck(cfg.AdminListen)
	case config.Serve, config.Sandbox:
		return start(cfg, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "client-session-service: %v\n", err)
		return exitFailure
	}
	return 0
}

// usageError prints the violations in the settings and in the files that they name. Those that stop a start are lines
// of the log, as the reader of the log expects; a command that only helps prints them as they are.
func usageError(cfg config.Config, stderr io.Writer, violations error) int {
	if cfg.Command != config.Serve && cfg.Command != config.Sandbox {
		lines := strings.Join(config.Violations(violations), "\n")
		_, _ = fmt.Fprintf(stderr, "client-session-service: invalid configuration:\n%s\n", lines)
		return exitUsage
	}
	logger := slog.New(newHandler(cfg, stderr))
	for _, violation := range config.Violations(violations) {
		logger.Error("invalid configuration", slog.String("cause", violation))
	}
	return exitUsage
}

// gcPercent is how much the heap grows before a garbage collection, in percent of what is in use. Nearly all that a
// call allocates is garbage when it ends, so Go's default of 100 spends a fifth of the CPU on a heap of a few
// megabytes. The variables GOGC and GOMEMLIMIT have precedence, as in any program in Go.
const gcPercent = 400

func start(cfg config.Config, stderr io.Writer) int {
	logger, queue := newLog(cfg, stderr)
	defer queue.flush()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// A reader of the log that goes away must not end the process.
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // As it is below nohup.
		ends = append(ends, syscall.SIGHUP)
	}
	signalled, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	context.AfterFunc(signalled, func() {
		stop() // First, so that a second signal finds no handler and ends the process at once.
		end()
	})

	err := serve(ctx, cfg, logger, queue)
	if invalid, ok := errors.AsType[server.ConfigError](err); ok {
		return usageError(cfg, stderr, invalid)
	}
	if err != nil {
		logger.Error("ended with a failure", slog.String("cause", err.Error()))
		return exitFailure
	}
	return 0
}

func serve(ctx context.Context, cfg config.Config, logger *slog.Logger, queue *logQueue) error {
	if cfg.Command == config.Sandbox {
		return server.RunSandbox(ctx, cfg, logger)
	}
	s, err := server.New(cfg, logger) //nolint:contextcheck // To open a listener takes no time.
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.CountDroppedLines(queue.droppedLines)
	return s.Run(ctx)
}
