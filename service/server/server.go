// Package server is the composition root of the service: listeners, both faces, start and drain.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service"
	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/reload"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam"
)

// Server is the service with its listeners open. Nothing is served before Run.
type Server struct {
	cfg     config.Config
	logger  *slog.Logger
	metrics *metrics
	ready   atomic.Bool

	grpcListener, httpListener, adminListener net.Listener

	grpcServer              *grpc.Server
	health                  *health.Server
	httpServer, adminServer *http.Server
	seamClient              *seam.Client
	sandboxServer           *sandbox.Server
	// endpoint is the URL of Seam, or of the sandbox in its place.
	endpoint *url.URL

	// files are polled while the service runs; issuers is the client for the issuers of tokens, nil without any.
	files   []*reload.Files
	issuers *http.Client
	// callers are those of the callers file, nil where it is not used.
	callers *auth.Callers
	// streamCtx ends when the drain cancels the streams.
	streamCtx     context.Context //nolint:containedctx // It is the server's and no call's.
	cancelStreams context.CancelFunc
	// spans makes and exports spans, nil where calls are not traced.
	spans *sdktrace.TracerProvider
	// certificates is the certificate of both faces, nil for plain text.
	certificates *serverCertificates
}

// pollInterval is how often files are polled: a new key is in use within twice as long.
const pollInterval = 5 * time.Second

// New builds the service and opens its listeners, so that an address in use stops the start. For invalid files and
// credentials the error is a ConfigError.
func New(cfg config.Config, logger *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, logger: logger, metrics: newMetrics(cfg), endpoint: cfg.SeamEndpoint}
	s.streamCtx, s.cancelStreams = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.cancelStreams()
			s.closeListeners()
			s.stopTracing(context.Background())
		}
	}()
	used, err := s.readFiles()
	if err != nil {
		return nil, ConfigError{err}
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	codec, rules, err := readContract()
	if err != nil {
		return nil, err
	}
	if err := s.startTracing(used.tracesProtocol); err != nil {
		return nil, err
	}
	s.limitConnections()
	s.seamClient = s.newSeamClient(used.seamCAs, codec)
	calls := s.newCalls(used.authenticator, rules)
	methods := service.New(s.seamClient, s.metrics.serviceCredentialRefused).Methods()
	s.health = health.NewServer()
	s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING)
	s.grpcServer = s.newGRPC(calls, methods)
	if s.httpServer, err = s.newHTTP(calls, methods, codec); err != nil {
		return nil, err
	}
	s.adminServer = s.newAdmin()
	return s, nil
}

func (s *Server) setHealth(status healthv1.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(clientsessionv1.ClientSessionService_ServiceDesc.ServiceName, status)
}

// Run serves until ctx ends and then drains. It returns nil after a drain in which all calls finished.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 3)
	var serving sync.WaitGroup
	for name, serve := range map[string]func() error{
		"gRPC":  func() error { return s.grpcServer.Serve(s.grpcListener) },
		"REST":  func() error { return s.certificates.serveHTTP(s.httpServer, s.httpListener) },
		"admin": func() error { return s.adminServer.Serve(s.adminListener) },
	} {
		serving.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", name, err)
			}
		})
	}
	polling, stopPolling := context.WithCancel(ctx)
	for _, files := range s.files {
		serving.Go(func() { files.Poll(polling, pollInterval, s.logger) })
	}
	s.setHealth(healthv1.HealthCheckResponse_SERVING)
	s.ready.Store(true)
	at := s.Addresses()
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ready",
		slog.String("grpc", at.GRPC), slog.String("http", at.HTTP), slog.String("admin", at.Admin),
		slog.String("seam", at.Seam),
		slog.Bool("sandbox", s.sandboxServer != nil), slog.Bool("tls", s.certificates != nil),
		slog.String("version", s.cfg.Version), slog.Bool("service_credential", s.cfg.HasServiceCredential()),
		slog.Int("callers", s.callers.Len()), slog.Bool("traces", s.spans != nil))

	var err error
	delay := s.cfg.DrainDelay
	select {
	case <-ctx.Done():
		s.logger.Info("draining",
			slog.String("delay", delay.String()), slog.String("timeout", s.cfg.DrainTimeout.String()))
	case err = <-failed:
		delay = 0 // A face is gone already.
	}
	stopPolling()
	err = errors.Join(err, s.drain(delay)) //nolint:contextcheck // The drain begins when ctx has ended.
	serving.Wait()
	if err == nil {
		s.logger.Info("stopped")
	}
	return err
}
