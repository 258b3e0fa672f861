package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/config"
)

// ConfigError has every violation in the files and credentials of a configuration, a line each.
type ConfigError struct{ error }

// CheckFiles returns every violation in the files and credentials of a configuration. It is for a configuration with
// invalid settings, so that the operator gets all violations at once.
func CheckFiles(cfg config.Config) error {
	s := &Server{cfg: cfg, logger: slog.New(slog.DiscardHandler), metrics: newMetrics(cfg)}
	_, err := s.readFiles()
	return err
}

// usedFiles is made from the files and credentials of a configuration, besides the certificates of the server.
type usedFiles struct {
	// seamCAs are the authorities for Seam's certificate, nil for those of the system.
	seamCAs *x509.CertPool
	// authenticator decides whose credential goes to Seam and who may call.
	authenticator call.Authenticator
	// tracesProtocol is the protocol by which spans are exported, empty for none.
	tracesProtocol string
}

// readFiles reads what the configuration names. Files that can change are polled once the service runs.
func (s *Server) readFiles() (used usedFiles, err error) {
	var seamErr, authErr, tracesErr error
	if path := s.cfg.SeamCAFile; path != "" {
		if used.seamCAs, seamErr = loadCAs(path); seamErr != nil {
			seamErr = fmt.Errorf("%s: %w", s.cfg.Label("seam-ca-file"), seamErr)
		}
	}
	certificatesErr := s.readCertificates()
	s.metrics.certificates(s.certificates)
	used.authenticator, authErr = s.authentication()
	used.tracesProtocol, tracesErr = tracesProtocol()
	return used, errors.Join(seamErr, certificatesErr, authErr, tracesErr)
}
