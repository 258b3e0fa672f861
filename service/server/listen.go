package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/grpcface"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// listen opens every listener. The error has every address that cannot be listened on.
func (s *Server) listen() error {
	var errs []error
	open := func(flag, address string) net.Listener {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
			return nil
		}
		return listener
	}
	s.grpcListener = open("grpc-listen", s.cfg.GRPCListen)
	s.httpListener = open("http-listen", s.cfg.HTTPListen)
	s.adminListener = open("admin-listen", s.cfg.AdminListen)
	if s.cfg.Sandbox {
		var err error
		if s.sandboxServer, err = sandbox.Listen(s.cfg.SandboxListen, sandbox.New(sandbox.Options{})); err == nil {
			s.endpoint, err = url.Parse(s.sandboxServer.URL())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--sandbox-listen: %w", err))
		}
	}
	return errors.Join(errs...)
}

// limitConnections limits the connections of both faces.
func (s *Server) limitConnections() {
	tooManyConnections := s.metrics.refused.WithLabelValues("connections")
	grpcConnections := newLimitListener(s.grpcListener, s.cfg.MaxInFlight, grpcface.WriteTimeout, tooManyConnections)
	httpConnections := newLimitListener(s.httpListener, s.cfg.MaxInFlight, 0, tooManyConnections)
	s.metrics.connections(call.FaceGRPC, grpcConnections.openConnections)
	s.metrics.connections(call.FaceREST, httpConnections.openConnections)
	s.grpcListener, s.httpListener = grpcConnections, httpConnections
}

// closeListeners closes the listeners after a failed start.
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

// Addresses are the addresses of the service as host:port, with the actual port in place of 0.
type Addresses struct {
	GRPC, HTTP, Admin string
	// Seam is the URL of the upstream: Seam, or the sandbox.
	Seam string
}

// Addresses returns where the service listens.
func (s *Server) Addresses() Addresses {
	return Addresses{
		GRPC:  s.grpcListener.Addr().String(),
		HTTP:  s.httpListener.Addr().String(),
		Admin: s.adminListener.Addr().String(),
		Seam:  s.endpoint.String(),
	}
}
