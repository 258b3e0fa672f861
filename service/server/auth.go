package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/reload"
)

// authentication returns what authenticates callers and decides whose credential goes to Seam. The files that
// it reads are polled once the service runs. The error has every violation.
func (s *Server) authentication() (call.Authenticator, error) {
	cfg := s.cfg
	if cfg.PlaintextUpstream() {
		s.logger.Warn("requests to Seam, and the credentials in them, leave this machine unencrypted")
	}
	var callers *auth.Callers
	var callersErr error
	if cfg.CallersFile != "" {
		callers, callersErr = s.readCallers()
	}
	if !cfg.HasServiceCredential() {
		if callers != nil {
			s.logger.Warn("the callers file is not used: the sandbox takes the credential of each caller")
		}
		return auth.NewPassThrough(), callersErr
	}
	key, keyErr := s.serviceKey()
	if callers == nil {
		s.metrics.anonymous.Set(1)
		s.logger.Warn("unauthenticated clients may use the service credential",
			slog.Bool("allow_anonymous", cfg.AllowAnonymous))
	}
	s.callers = callers
	return auth.NewServiceCredential(key, callers, cfg.Reflection == config.ReflectionOn), errors.Join(keyErr, callersErr)
}

// readCallers reads the callers file. With --sandbox nothing uses it, but an error in it is reported all the same.
func (s *Server) readCallers() (*auth.Callers, error) {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        8,
		IdleConnTimeout:     time.Minute,
	}
	var caErr error
	if path := s.cfg.IssuerCAFile; path != "" {
		authorities, err := loadCAs(path)
		if err != nil {
			caErr = fmt.Errorf("%s: %w", s.cfg.Label("issuer-ca-file"), err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	}
	s.issuers = &http.Client{Transport: transport}
	var authorities func() *x509.CertPool
	if s.cfg.TLSClientCAFile != "" {
		authorities = s.certificates.authorities
	}
	callers := auth.NewCallers(RPCs(), s.issuers, authorities, time.Now)
	load := func(contents [][]byte) error { return callers.Load(contents[0]) }
	return callers, errors.Join(caErr, s.read(s.cfg.Label("callers-file"), []string{s.cfg.CallersFile}, load))
}

// serviceKey returns the service credential.
func (s *Server) serviceKey() (*auth.Key, error) {
	cfg := s.cfg
	key := &auth.Key{}
	switch {
	case cfg.SeamPersonalAccessToken != "":
		if err := key.UseAccessToken(cfg.SeamPersonalAccessToken, cfg.SeamWorkspaceID); err != nil {
			return nil, fmt.Errorf("%s and SEAM_WORKSPACE_ID: %w", cfg.Label("seam-personal-access-token"), err)
		}
	case cfg.SeamAPIKey != "":
		if err := key.UseAPIKey(cfg.SeamAPIKey); err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Label("seam-api-key"), err)
		}
	default:
		return key, s.read(cfg.Label("seam-api-key-file"), []string{cfg.SeamAPIKeyFile}, func(contents [][]byte) error {
			return key.UseAPIKey(string(contents[0]))
		})
	}
	return key, nil
}

// read reads files, and has them polled while the service runs. what names the settings.
func (s *Server) read(what string, paths []string, apply func([][]byte) error) error {
	files, err := reload.Read(what, paths, s.metrics.reloadFailures, apply)
	if err != nil {
		return err
	}
	s.files = append(s.files, files)
	return nil
}

// RPCs returns the short names of the methods that a callers file can allow.
func RPCs() []string {
	var names []string
	for _, method := range clientsessionv1.ClientSessionService_ServiceDesc.Methods {
		names = append(names, method.MethodName)
	}
	return names
}
