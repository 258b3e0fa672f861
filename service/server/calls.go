package server

import (
	"fmt"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/grpcface"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// newCalls returns the server of the calls of both faces.
func (s *Server) newCalls(authenticator call.Authenticator, rules call.Rules) *call.Server {
	cfg, m := s.cfg, s.metrics
	return call.NewServer(call.Config{
		Logger: s.logger, AuditLog: cfg.AuditLog, Registry: m.registry, Tracer: s.tracer(),
		TrustedProxies: cfg.TrustedProxies,
		Served:         grpcface.Served(), Panics: m.panics, InFlight: m.inFlight, Refused: m.refused,
		Authenticator: authenticator, Rules: rules, CallerRPS: cfg.CallerRPS, MaxInFlight: cfg.MaxInFlight,
		DefaultTimeout: cfg.DefaultTimeout, MaxTimeout: cfg.MaxTimeout,
		// A stream lasts no longer than a connection, whose end ends the stream anyway.
		StreamLifetime: cfg.MaxConnectionAge, StreamCtx: s.streamCtx,
	})
}

// readContract returns the contract's JSON codec and its rules, both built at the start of the service. So an error in
// the contract stops the start, and no call waits for it.
func readContract() (*seamjson.Codec, call.Rules, error) {
	file := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	codec, err := seamjson.New(file, clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		return nil, call.Rules{}, fmt.Errorf("read the contract: %w", err)
	}
	rules, err := call.NewRules(file.Messages())
	if err != nil {
		return nil, call.Rules{}, fmt.Errorf("compile the rules of the contract: %w", err)
	}
	return codec, rules, nil
}
