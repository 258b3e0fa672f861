package server

import (
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/grpcface"
)

// newCalls returns the server of the calls of both faces.
func (s *Server) newCalls(authenticator call.Authenticator, rules call.Rules) *call.Server {
	cfg, m := s.cfg, s.metrics
	return call.NewServer(call.Config{
		Logger: s.logger, Registry: m.registry, Tracer: s.tracer(), TrustedProxies: cfg.TrustedProxies,
		Served: grpcface.Served(), Panics: m.panics, InFlight: m.inFlight, Refused: m.refused,
		Authenticator: authenticator, Rules: rules, CallerRPS: cfg.CallerRPS, MaxInFlight: cfg.MaxInFlight,
		DefaultTimeout: cfg.DefaultTimeout, MaxTimeout: cfg.MaxTimeout,
		// A stream lasts no longer than a connection, whose end ends the stream anyway.
		StreamLifetime: cfg.MaxConnectionAge, StreamCtx: s.streamCtx,
	})
}
