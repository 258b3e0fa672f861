package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/config"
)

// ConfigError tells every fault of the files and credentials that a service is configured with, a line each.
type ConfigError struct{ error }

// Unwrap returns the faults.
func (e ConfigError) Unwrap() error { return e.error }

// CheckFiles returns every fault of the files and credentials of a configuration that is not used, because it has other
// faults: whoever sets up the service hears of all at once.
func CheckFiles(cfg config.Config) error {
	s := &Server{logger: slog.New(slog.DiscardHandler)}
	_, err := s.readFiles(cfg, newMetrics(cfg))
	return err
}

// usedFiles is what comes of the files and credentials of a configuration, beside the certificates of the server.
type usedFiles struct {
	// seamCAs are the authorities for Seam's certificate, nil for those of the system.
	seamCAs *x509.CertPool
	// authenticate is the step that decides whose credential goes to Seam and who may call.
	authenticate grpc.UnaryServerInterceptor
}

// readFiles reads what the configuration names. Files that can change are polled once the service runs.
func (s *Server) readFiles(cfg config.Config, m *metrics) (used usedFiles, err error) {
	var seamErr, certificatesErr, authErr error
	if cfg.SeamCAFile != "" {
		if used.seamCAs, seamErr = loadCAs(cfg.SeamCAFile); seamErr != nil {
			seamErr = fmt.Errorf("--seam-ca-file: %w", seamErr)
		}
	}
	s.certificates, certificatesErr = newServerCertificates(cfg, m.reloadFailures)
	m.certificates(s.certificates)
	if s.certificates != nil {
		s.files = append(s.files, s.certificates.files...)
	}
	used.authenticate, authErr = s.authentication(cfg, m)
	return used, errors.Join(seamErr, certificatesErr, authErr)
}
