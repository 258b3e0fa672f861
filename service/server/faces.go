package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/grpcface"
	"github.com/clientsession/client-session-service/service/rest"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// maxHeaderBytes bounds the headers of a request on both faces.
const maxHeaderBytes = 32 << 10

// newGRPC returns the server of the gRPC face.
func (s *Server) newGRPC(calls *call.Server, methods []*call.Method) *grpc.Server {
	cfg := s.cfg
	return grpcface.New(grpcface.Config{
		Calls: calls, Methods: methods, Health: s.health, Reflection: cfg.Reflection != config.ReflectionOff,
		OpenStreams: s.metrics.openStreams, MaxHeaderBytes: maxHeaderBytes, MaxConnectionAge: cfg.MaxConnectionAge,
		MaxTimeout: cfg.MaxTimeout, Options: s.certificates.grpcOptions(s.logger),
	})
}

// newHTTP returns the server of the REST face.
func (s *Server) newHTTP(
	calls *call.Server, methods []*call.Method, codec *seamjson.Codec,
) (*http.Server, error) {
	cfg := s.cfg
	headers := []string{call.HeaderCallID, call.HeaderSDKLanguage}
	if s.spans != nil {
		headers = append(headers, call.TraceHeaders()...)
	}
	for _, header := range seam.Headers() {
		headers = append(headers, header.Name)
	}
	at, _ := s.httpListener.Addr().(*net.TCPAddr)
	face, err := rest.New(rest.Config{
		Calls:             calls,
		Methods:           methods,
		Headers:           headers,
		CORSOrigins:       cfg.CORSOrigins,
		ServiceCredential: cfg.HasServiceCredential(),
		RequireKnownHost:  cfg.CallersFile == "",
		Hosts:             rest.Hosts{Names: cfg.AllowedHosts, LoopbackOnly: at != nil && at.IP.IsLoopback()},
		Ready:             s.ready.Load,
		APIDocs:           cfg.APIDocs || cfg.Sandbox,
		Codec:             codec,
		MaxInFlight:       cfg.MaxInFlight,
		Logger:            s.logger,
		Registry:          s.metrics.registry,
	})
	if err != nil {
		return nil, fmt.Errorf("build the REST face: %w", err)
	}
	return &http.Server{
		Handler:           s.closingConnections(face),
		ConnContext:       acceptedNow,
		ReadHeaderTimeout: 10 * time.Second,
		// call.Serve refuses a body that arrives too slowly. This timeout is for a body that no call reads.
		ReadTimeout: call.RequestReadTimeout + 2*time.Second,
		// The timeout includes the time of the call before the response is written.
		WriteTimeout:   cfg.MaxTimeout + 60*time.Second,
		IdleTimeout:    cfg.HTTPIdleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(StandardLog{s.logger.Handler()}, slog.LevelWarn),
	}, nil
}
