package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/clientsession/service/service"
	"github.com/clientsession/service/service/auth"
	"github.com/clientsession/service/service/config"
	"github.com/clientsession/service/service/interceptor"
	"github.com/clientsession/service/service/rest"
	"github.com/clientsession/service/service/seam"
	"github.com/clientsession/service/service/seamjson"
)

const (
	// maxRequestBytes bounds a request on both faces.
	maxRequestBytes = 1 << 20
	// maxHeaderBytes bounds the headers of a request on both faces.
	maxHeaderBytes = 32 << 10
	// maxStreams bounds the calls in flight of one gRPC connection.
	maxStreams = 1000
)

// calls is what both faces hand a call to.
type calls struct {
	description *grpc.ServiceDesc
	handlers    *service.Service
	chain       []grpc.UnaryServerInterceptor
	// guarded returns the description of a service whose handlers survive a panic.
	guarded func(*grpc.ServiceDesc) *grpc.ServiceDesc
}

func (s *Server) newGRPC(cfg config.Config, c calls) {
	s.grpc = grpc.NewServer(append(s.identity.grpcOptions(s.logger),
		grpc.ChainUnaryInterceptor(c.chain...),
		grpc.ChainStreamInterceptor(auth.Stream, s.endStreams),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// A load balancer that spreads connections can spread the calls of a client only if it connects anew now and
			// then. Calls in flight have longer than any of them may take.
			MaxConnectionAge: cfg.MaxConnectionAge, MaxConnectionAgeGrace: cfg.MaxTimeout + 10*time.Second,
			// A client that is gone without a word is found within a minute.
			Time: 40 * time.Second, Timeout: 20 * time.Second,
		}),
		// Clients commonly ping every 10 seconds, also while they have no call; grpc-go would end their connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)...)
	s.health = health.NewServer()
	s.grpc.RegisterService(c.guarded(&healthv1.Health_ServiceDesc), s.health)
	s.grpc.RegisterService(c.description, c.handlers)
	reflection.Register(s.grpc)
	s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING)
}

func (s *Server) newHTTP(cfg config.Config, c calls, codec *seamjson.Codec) error {
	headers := []string{interceptor.HeaderCallerRequestID, service.HeaderSDKLanguage}
	for _, header := range seam.Headers() {
		headers = append(headers, header.Name)
	}
	face, err := rest.New(rest.Config{
		Description:   c.description,
		Service:       c.handlers,
		Interceptors:  c.chain,
		Headers:       headers,
		CORSOrigins:   cfg.CORSOrigins,
		OwnCredential: cfg.Held(),
		CheckHost:     cfg.CallersFile == "",
		Hosts:         rest.Hosts{Names: cfg.AllowedHosts, LoopbackOnly: onLoopback(s.httpListener.Addr())},
		Codec:         codec,
		Logger:        s.logger,
		Caught:        s.caught,
	})
	if err != nil {
		return fmt.Errorf("build the REST face: %w", err)
	}
	s.http = &http.Server{
		Handler:           s.closingConnections(cfg.MaxConnectionAge, face),
		ConnContext:       acceptedNow,
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
