package server

import (
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
	if !cfg.HasServiceCredential() {
		return auth.NewPassThrough(), nil
	}
	key, err := s.serviceKey()
	if cfg.CallersFile == "" {
		s.metrics.anonymous.Set(1)
		s.logger.Warn("unauthenticated clients may use the service credential",
			slog.Bool("allow_anonymous", cfg.AllowAnonymous))
		return auth.NewServiceCredential(key, nil, cfg.Reflection == config.ReflectionOn), err
	}
	s.issuers = &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        8,
		IdleConnTimeout:     time.Minute,
	}}
	callers := auth.NewCallers(RPCs(), s.issuers, s.certificates.authorities, time.Now)
	err = errors.Join(err, s.read("--callers-file", []string{cfg.CallersFile}, func(contents [][]byte) error {
		return callers.Load(contents[0])
	}))
	return auth.NewServiceCredential(key, callers, cfg.Reflection == config.ReflectionOn), err
}

// serviceKey returns the service credential.
func (s *Server) serviceKey() (*auth.Key, error) {
	cfg := s.cfg
	key := &auth.Key{}
	switch {
	case cfg.SeamPersonalAccessToken != "":
		if err := key.UseAccessToken(cfg.SeamPersonalAccessToken, cfg.SeamWorkspaceID); err != nil {
			return nil, fmt.Errorf("SEAM_PERSONAL_ACCESS_TOKEN and SEAM_WORKSPACE_ID: %w", err)
		}
	case cfg.SeamAPIKey != "":
		if err := key.UseAPIKey(cfg.SeamAPIKey); err != nil {
			return nil, fmt.Errorf("SEAM_API_KEY: %w", err)
		}
	default:
		return key, s.read("--seam-api-key-file", []string{cfg.SeamAPIKeyFile}, func(contents [][]byte) error {
			return key.UseAPIKey(string(contents[0]))
		})
	}
	return key, nil
}

// read reads files, and has them polled while the service runs.
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
