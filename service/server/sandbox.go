package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// RunSandbox runs the in-memory Seam alone until ctx ends.
func RunSandbox(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	s, err := sandbox.Listen( //nolint:contextcheck // To open a listener takes no time.
		cfg.SandboxListen, sandbox.New(sandbox.Options{}))
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	logger.InfoContext(ctx, "ready", slog.String("seam", s.URL()), slog.Bool("sandbox", true))
	<-ctx.Done()
	logger.Info("stopped")
	return s.Close()
}
