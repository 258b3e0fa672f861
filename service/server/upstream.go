package server

import (
	"crypto/x509"
	"fmt"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// newSeamClient returns the client of Seam, or of the sandbox in its place.
func (s *Server) newSeamClient(authorities *x509.CertPool, codec *seamjson.Codec) (*seam.Client, error) {
	endpoint := s.cfg.SeamEndpoint
	if s.sandboxServer != nil {
		s.endpoint = s.sandboxServer.URL()
		var err error
		if endpoint, err = endpoint.Parse(s.endpoint); err != nil {
			return nil, fmt.Errorf("address of the sandbox: %w", err)
		}
	}
	return seam.New(seam.Config{
		Endpoint:           endpoint,
		UserAgent:          "client-session-service/" + s.cfg.Version,
		Codec:              codec,
		CAs:                authorities,
		MaxResponseBytes:   s.cfg.MaxResponseMiB << 20,
		MaxIdleConnections: s.cfg.MaxInFlight,
		MaxConnectionAge:   s.cfg.MaxConnectionAge,
		Logger:             s.logger,
		Registry:           s.metrics.registry,
		OverMemory:         s.metrics.refused.WithLabelValues("response_bytes"),
		Tracer:             s.tracer(),
	}), nil
}
