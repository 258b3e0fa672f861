package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/rest"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// maxHeaderBytes bounds the headers of a request on both faces.
const maxHeaderBytes = 32 << 10

// newHTTP returns the server of the REST face.
func (s *Server) newHTTP(
	cfg config.Config, methods []interceptor.Method, m *metrics, codec *seamjson.Codec,
) (*http.Server, error) {
	headers := []string{callinfo.HeaderRequestID, interceptor.HeaderSDKLanguage}
	if s.spans != nil {
		headers = append(headers, interceptor.TraceHeaders()...)
	}
	for _, header := range seam.Headers() {
		headers = append(headers, header.Name)
	}
	calls := map[string]grpc.UnaryHandler{}
	for _, method := range methods {
		calls[method.FullMethod] = method.Call
	}
	face, err := rest.New(rest.Config{
		Methods:           calls,
		MaxRequestBytes:   interceptor.MaxRequestBytes,
		Headers:           headers,
		CORSOrigins:       cfg.CORSOrigins,
		ServiceCredential: cfg.HasServiceCredential(),
		RequireKnownHost:  cfg.CallersFile == "",
		Hosts:             rest.Hosts{Names: cfg.AllowedHosts, LoopbackOnly: onLoopback(s.httpListener.Addr())},
		APIDocs:           cfg.APIDocs || cfg.Sandbox,
		Codec:             codec,
		Logger:            s.logger,
		Registry:          m.registry,
		RecoverOutside:    interceptor.RecoverOutside(s.logger, m.panics),
	})
	if err != nil {
		return nil, fmt.Errorf("build the REST face: %w", err)
	}
	return &http.Server{
		Handler:           s.closingConnections(cfg.MaxConnectionAge, face),
		ConnContext:       acceptedNow,
		ReadHeaderTimeout: 10 * time.Second,
		// The step Receive refuses a body that arrives too slowly. This timeout is for a body that no call reads.
		ReadTimeout: interceptor.RequestReadTimeout + 2*time.Second,
		// The timeout includes the time of the call before the response is written.
		WriteTimeout:   cfg.MaxTimeout + 60*time.Second,
		IdleTimeout:    120 * time.Second,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(StandardLog{s.logger.Handler()}, slog.LevelWarn),
	}, nil
}
