package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// listen opens every listener and reports every address that cannot be had.
func (s *Server) listen(cfg config.Config) error {
	var faults []error
	open := func(flag, address string) net.Listener {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s: %w", flag, err))
			return nil
		}
		return listener
	}
	s.grpcListener = open("grpc-listen", cfg.GRPCListen)
	s.httpListener = open("http-listen", cfg.HTTPListen)
	s.adminListener = open("admin-listen", cfg.AdminListen)
	if cfg.Sandbox {
		var err error
		if s.sandboxServer, err = sandbox.Listen(cfg.SandboxListen, sandbox.New(sandbox.Options{})); err != nil {
			faults = append(faults, fmt.Errorf("--sandbox-listen: %w", err))
		}
	}
	return errors.Join(faults...)
}

// limitConnections bounds the connections of both faces.
func (s *Server) limitConnections(cfg config.Config, m *metrics) {
	tooManyConnections := m.refused.WithLabelValues(limitConnections)
	grpcConnections := newLimitListener(s.grpcListener, cfg.MaxInFlight, tooManyConnections)
	httpConnections := newLimitListener(s.httpListener, cfg.MaxInFlight, tooManyConnections)
	m.connections(callinfo.FaceGRPC, grpcConnections.openConnections)
	m.connections(callinfo.FaceREST, httpConnections.openConnections)
	s.grpcListener, s.httpListener = grpcConnections, httpConnections
}

// closeListeners gives the addresses back after a start that failed.
func (s *Server) closeListeners() {
	for _, listener := range []net.Listener{s.grpcListener, s.httpListener, s.adminListener} {
		if listener != nil {
			_ = listener.Close()
		}
	}
	if s.sandboxServer != nil {
		_ = s.sandboxServer.Close()
	}
}

// Addresses are where the service can be reached, host:port, with the ports that were taken for 0.
type Addresses struct {
	GRPC, HTTP, Admin string
	// Seam is the URL of what answers for Seam: Seam, or the sandbox.
	Seam string
}

// Addresses returns where the service listens.
func (s *Server) Addresses() Addresses {
	return Addresses{
		GRPC:  s.grpcListener.Addr().String(),
		HTTP:  s.httpListener.Addr().String(),
		Admin: s.adminListener.Addr().String(),
		Seam:  s.endpoint,
	}
}

func (s *Server) attributes() []slog.Attr {
	at := s.Addresses()
	return []slog.Attr{
		slog.String("grpc", at.GRPC),
		slog.String("http", at.HTTP),
		slog.String("admin", at.Admin),
		slog.String("seam", at.Seam),
		slog.Bool("sandbox", s.sandboxServer != nil),
		slog.Bool("tls", s.certificates != nil),
	}
}
