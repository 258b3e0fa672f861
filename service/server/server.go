// Package server puts the service together: listeners, the chain that every call takes, both faces, start and drain.
package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/reload"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// Server is the service with its listeners open. Nothing is served before Run.
type Server struct {
	logger *slog.Logger
	ready  atomic.Bool

	grpcListener, httpListener, adminListener net.Listener

	grpc        *grpc.Server
	health      *health.Server
	http, admin *http.Server
	seam        *seam.Client
	sandbox     *sandbox.Server
	endpoint    string

	// drainDelay and drainTimeout are how long the service still takes calls after it was told to end, and how long those
	// in flight may then take.
	drainDelay, drainTimeout time.Duration

	// files are polled while the service runs; issuers is the client for the issuers of tokens, nil without any.
	files   []*reload.Files
	issuers *http.Client
	// streamCtx ends when the drain begins to cut off streams.
	streamCtx     context.Context //nolint:containedctx // It is the server's life and no call's.
	cancelStreams context.CancelFunc
	// recoverOutside makes an error of a panic outside of the calls.
	recoverOutside func(ctx context.Context, method string, value any) *seamerr.Error
	// identity is the certificate of both faces, nil for plain text.
	identity *serverCertificates
}

// pollInterval is how often files are looked at: a key that was replaced is in use within twice as long.
const pollInterval = 5 * time.Second

// New builds the service and opens its listeners, so that an address that is taken stops the start.
func New(cfg config.Config, logger *slog.Logger) (_ *Server, err error) {
	s := &Server{
		logger: logger, endpoint: cfg.SeamEndpoint.String(), drainDelay: cfg.DrainDelay, drainTimeout: cfg.DrainTimeout,
	}
	s.streamCtx, s.cancelStreams = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.cancelStreams()
			s.closeListeners()
		}
	}()
	if err := s.listen(cfg); err != nil {
		return nil, err
	}
	contract := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	codec, err := seamjson.New(contract, clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	validator, err := newValidator(contract.Messages())
	if err != nil {
		return nil, err
	}
	var authorities *x509.CertPool
	if cfg.SeamCAFile != "" {
		if authorities, err = seam.LoadCAs(cfg.SeamCAFile); err != nil {
			return nil, fmt.Errorf("--seam-ca-file: %w", err)
		}
	}
	upstream := *cfg.SeamEndpoint
	if s.sandbox != nil {
		s.endpoint = s.sandbox.URL()
		parsed, err := upstream.Parse(s.endpoint)
		if err != nil {
			return nil, fmt.Errorf("address of the sandbox: %w", err)
		}
		upstream = *parsed
	}
	metrics := newMetrics(cfg.Version)
	tooManyConnections := metrics.refused.WithLabelValues(limitConnections)
	grpcConnections := newLimitListener(s.grpcListener, cfg.MaxInFlight, tooManyConnections)
	httpConnections := newLimitListener(s.httpListener, cfg.MaxInFlight, tooManyConnections)
	metrics.connections(callinfo.FaceGRPC, grpcConnections.openConnections)
	metrics.connections(callinfo.FaceREST, httpConnections.openConnections)
	s.grpcListener, s.httpListener = grpcConnections, httpConnections
	s.seam = seam.New(seam.Config{
		Endpoint:           &upstream,
		UserAgent:          "client-session-service/" + cfg.Version,
		Codec:              codec,
		CAs:                authorities,
		MaxResponseBytes:   cfg.MaxResponseBytes,
		MaxIdleConnections: cfg.MaxInFlight,
		MaxConnectionAge:   cfg.MaxConnectionAge,
		Logger:             logger,
		Registry:           metrics.registry,
	})
	if s.identity, err = newServerCertificates(cfg, metrics.reloadFailures); err != nil {
		return nil, err
	}
	if s.identity != nil {
		s.files = append(s.files, s.identity.files...)
	}
	handlers := service.New(s.seam, metrics.ownCredentialRefused)
	authenticate, err := s.authentication(cfg, metrics)
	if err != nil {
		return nil, err
	}
	// The order matters: what stands further out sees what the inner ones did. The request id names all that follows; the
	// log and the metrics stand outside of the recovery and so see a panic as the error it became; who calls is settled
	// on the headers alone, before the body costs any memory and before what is asked, so that a stranger learns nothing
	// about the input; a request that is whole then needs room among the calls in flight.
	outer := []grpc.UnaryServerInterceptor{
		interceptor.RequestID,
		interceptor.AccessLog(logger, cfg.TrustedProxies),
		metrics.interceptor(),
		interceptor.Recovery(logger, metrics.panics),
	}
	chain := append(slices.Clone(outer),
		interceptor.Deadline(cfg.DefaultTimeout, cfg.MaxTimeout),
		authenticate,
	)
	if cfg.CallerRPS > 0 {
		chain = append(chain, interceptor.CallerRate(cfg.CallerRPS, metrics.refused.WithLabelValues(limitCaller)))
	}
	chain = append(chain,
		interceptor.Receive(interceptor.ReceiveConfig{
			MaxInFlight: cfg.MaxInFlight,
			Timeout:     min(interceptor.RequestReadTimeout, cfg.MaxTimeout),
			Logger:      logger,
			Registry:    metrics.registry,
			Refused:     metrics.refused,
		}),
		interceptor.InFlight(cfg.MaxInFlight, metrics.inFlight, metrics.refused.WithLabelValues(limitInFlight)),
		interceptor.Validation(validator),
	)
	s.recoverOutside = interceptor.RecoverOutside(logger, metrics.panics)
	guarded := func(description *grpc.ServiceDesc) *grpc.ServiceDesc {
		return interceptor.RecoverHandlers(description, logger, metrics.panics)
	}
	c := calls{
		description: guarded(&clientsessionv1.ClientSessionService_ServiceDesc),
		handlers:    handlers,
		chain:       interceptor.Chain(chain...),
		outer:       interceptor.Chain(outer...),
		streams: interceptor.Chain(append(slices.Clone(outer), interceptor.Streams(interceptor.StreamsConfig{
			Lifetime:       streamLifetime(cfg),
			StreamCtx:      s.streamCtx,
			RecoverOutside: s.recoverOutside,
			Refused:        metrics.refused.WithLabelValues(limitStreams),
		}), authenticate)...),
		guarded: guarded,
	}
	s.newGRPC(cfg, c, metrics)
	if err := s.newHTTP(cfg, c, codec); err != nil {
		return nil, err
	}
	s.admin = &http.Server{
		Handler:           newAdmin(cfg, metrics.registry, &s.ready),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(StandardLog{logger.Handler()}, slog.LevelWarn),
	}
	return s, nil
}

// newValidator compiles the rules of the contract now: a faulty rule stops the start and no call waits for it.
func newValidator(messages protoMessages) (protovalidate.Validator, error) {
	options := make([]protovalidate.ValidatorOption, 0, messages.Len())
	for i := range messages.Len() {
		options = append(options, protovalidate.WithMessageDescriptors(messages.Get(i)))
	}
	validator, err := protovalidate.New(options...)
	if err != nil {
		return nil, fmt.Errorf("compile the rules of the contract: %w", err)
	}
	return validator, nil
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
		"gRPC":  func() error { return s.grpc.Serve(s.grpcListener) },
		"REST":  func() error { return s.identity.serveHTTP(s.http, s.httpListener) },
		"admin": func() error { return s.admin.Serve(s.adminListener) },
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
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ready", s.attributes()...)

	var err error
	delay := s.drainDelay
	select {
	case <-ctx.Done():
		s.logger.Info("draining",
			slog.String("delay", s.drainDelay.String()), slog.String("timeout", s.drainTimeout.String()))
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
