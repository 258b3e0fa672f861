package server

import (
	"crypto/x509"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// newSeamClient returns the client of Seam, or of the sandbox in its place.
func (s *Server) newSeamClient(authorities *x509.CertPool, codec *seamjson.Codec) *seam.Client {
	return seam.New(seam.Config{
		Endpoint:           s.endpoint,
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
	})
}
