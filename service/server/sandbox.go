package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// RunSandbox runs the in-memory Seam alone until ctx ends: over TLS if its authority is to be written to a file.
func RunSandbox(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	listen := sandbox.Listen
	if cfg.WriteCAFile != "" {
		listen = sandbox.ListenTLS
	}
	s, err := listen(cfg.SandboxListen, sandbox.New(sandbox.Options{}))
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if cfg.WriteCAFile != "" {
		//nolint:gosec // A certificate is public, and its readers may be other users.
		if err := os.WriteFile(cfg.WriteCAFile, s.AuthorityPEM(), 0o644); err != nil {
			return errors.Join(fmt.Errorf("--write-ca-file: %w", err), s.Close())
		}
	}
	logger.InfoContext(ctx, "ready", slog.String("seam", s.URL()), slog.Bool("sandbox", true))
	<-ctx.Done()
	logger.Info("stopped")
	return s.Close()
}
