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
	"sync"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service"
	"github.com/clientsession/service/service/auth"
	"github.com/clientsession/service/service/config"
	"github.com/clientsession/service/service/interceptor"
	"github.com/clientsession/service/service/reload"
	"github.com/clientsession/service/service/rest"
	"github.com/clientsession/service/service/sandbox"
	"github.com/clientsession/service/service/seam"
	"github.com/clientsession/service/service/seamjson"
)

const (
	// maxRequestBytes bounds a request on both faces.
	maxRequestBytes = 1 << 20
	// maxHeaderBytes bounds the headers of a request on both faces.
	maxHeaderBytes = 32 << 10
	// drainTimeout bounds how long calls in flight may take to finish once the service was told to end.
	drainTimeout = 30 * time.Second
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

	// files are polled while the service runs; issuers is the client for the issuers of tokens, nil without any.
	files   []*reload.Files
	issuers *http.Client
	// draining ends when the drain begins to cut off streams.
	draining   context.Context //nolint:containedctx // It is the server's life and no call's.
	cutStreams context.CancelFunc
	// identity is the certificate of both faces, nil for plain text.
	identity *identity
}

// pollInterval is how often files are looked at: a key that was replaced is in use within as long.
const pollInterval = 10 * time.Second

// New builds the service and opens its listeners, so that an address that is taken stops the start.
func New(cfg config.Config, logger *slog.Logger) (_ *Server, err error) {
	s := &Server{logger: logger, endpoint: cfg.SeamEndpoint.String()}
	s.draining, s.cutStreams = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.cutStreams()
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
	s.seam = seam.New(seam.Config{
		Endpoint:  &upstream,
		UserAgent: "client-session-service/" + cfg.Version,
		Codec:     codec,
		CAs:       authorities,
	})
	metrics := newMetrics(cfg.Version)
	if s.identity, err = newIdentity(cfg, metrics.reloadFailures); err != nil {
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
	// The order matters: what stands further out sees what the inner ones did. The request id names all
	// that follows; the log and the metrics stand outside of the recovery and so see a panic as the error it became;
	// who calls is settled before what is asked, so that a stranger learns nothing about the input.
	chain := []grpc.UnaryServerInterceptor{
		interceptor.RequestID,
		interceptor.AccessLog(logger, cfg.TrustedProxies),
		metrics.interceptor(),
		interceptor.Recovery(logger, metrics.panics),
		interceptor.Deadline(cfg.DefaultTimeout, cfg.MaxTimeout),
		authenticate,
		interceptor.Validation(validator),
	}
	s.newGRPC(chain, handlers)
	if err := s.newHTTP(cfg, chain, handlers, codec); err != nil {
		return nil, err
	}
	s.admin = &http.Server{
		Handler:           newAdmin(metrics.registry, &s.ready),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
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

func (s *Server) newGRPC(chain []grpc.UnaryServerInterceptor, handlers *service.Service) {
	s.grpc = grpc.NewServer(append(s.identity.grpcOptions(s.logger),
		grpc.ChainUnaryInterceptor(chain...),
		grpc.ChainStreamInterceptor(auth.Stream, s.endStreams),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(1000),
		grpc.ConnectionTimeout(10*time.Second),
		// Clients commonly ping every 10 seconds, also while they have no call; grpc-go would end their connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)...)
	s.health = health.NewServer()
	healthv1.RegisterHealthServer(s.grpc, s.health)
	clientsessionv1.RegisterClientSessionServiceServer(s.grpc, handlers)
	reflection.Register(s.grpc)
	s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING)
}

func (s *Server) newHTTP(
	cfg config.Config, chain []grpc.UnaryServerInterceptor, handlers *service.Service, codec *seamjson.Codec,
) error {
	headers := []string{interceptor.HeaderCallerRequestID}
	for _, header := range seam.Headers() {
		headers = append(headers, header.Name)
	}
	face, err := rest.New(rest.Config{
		Service:      handlers,
		Interceptors: chain,
		Headers:      headers,
		CORSOrigins:  cfg.CORSOrigins,

		OwnCredential: cfg.Held(),
		CheckHost:     cfg.CallersFile == "" && onLoopback(s.httpListener.Addr()),
		Codec:         codec,
		Logger:        s.logger,
	})
	if err != nil {
		return fmt.Errorf("build the REST face: %w", err)
	}
	s.http = &http.Server{
		Handler:           face,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		// An answer is written at once; the time before it is the call's.
		WriteTimeout:   cfg.MaxTimeout + 60*time.Second,
		IdleTimeout:    120 * time.Second,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	return nil
}

func (s *Server) setHealth(status healthv1.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(clientsessionv1.ClientSessionService_ServiceDesc.ServiceName, status)
}

// Run serves until ctx ends and then drains: calls in flight finish, for at most drainTimeout. It returns nil after a
// drain in which they all did.
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
	select {
	case <-ctx.Done():
		s.logger.Info("draining")
	case err = <-failed:
	}
	stopPolling()
	err = errors.Join(err, s.drain()) //nolint:contextcheck // The drain begins when ctx has ended.
	serving.Wait()
	if err == nil {
		s.logger.Info("stopped")
	}
	return err
}

// drain ends the service: first it says that it is not to be called any more, then it lets both faces finish.
func (s *Server) drain() error {
	s.ready.Store(false)
	s.health.Shutdown()
	time.AfterFunc(streamGrace, s.cutStreams)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()

	finished := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(finished)
	}()
	var err error
	if httpErr := s.http.Shutdown(ctx); httpErr != nil {
		err = fmt.Errorf("drain the REST face: %w", errors.Join(httpErr, s.http.Close()))
	}
	select {
	case <-finished:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("drain the gRPC face: calls were cut off"))
		s.grpc.Stop()
		<-finished
	}
	// The admin listener goes last: until here it tells that the service drains.
	err = errors.Join(err, s.admin.Close())
	s.seam.Close()
	if s.issuers != nil {
		s.issuers.CloseIdleConnections()
	}
	if s.sandbox != nil {
		err = errors.Join(err, s.sandbox.Close())
	}
	return err
}
