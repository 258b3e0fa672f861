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

// Unwrap returns the violations.
func (e ConfigError) Unwrap() error { return e.error }

// CheckFiles returns every violation in the files and credentials of a configuration. It is for a configuration with
// invalid settings, so that the operator gets all violations at once.
func CheckFiles(cfg config.Config) error {
	s := &Server{logger: slog.New(slog.DiscardHandler)}
	_, err := s.readFiles(cfg, newMetrics(cfg))
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
func (s *Server) readFiles(cfg config.Config, m *metrics) (used usedFiles, err error) {
	var seamErr, authErr, tracesErr error
	if cfg.SeamCAFile != "" {
		if used.seamCAs, seamErr = loadCAs(cfg.SeamCAFile); seamErr != nil {
			seamErr = fmt.Errorf("--seam-ca-file: %w", seamErr)
		}
	}
	certificatesErr := s.readCertificates(cfg, m)
	m.certificates(s.certificates)
	used.authenticator, authErr = s.authentication(cfg, m)
	used.tracesProtocol, tracesErr = tracesProtocol()
	return used, errors.Join(seamErr, certificatesErr, authErr, tracesErr)
}
