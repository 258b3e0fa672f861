package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/rest"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// maxHeaderBytes bounds the headers of a request on both faces.
const maxHeaderBytes = 32 << 10

// calls is what both faces hand a call to.
type calls struct {
	description *grpc.ServiceDesc
	handlers    *service.Service
	// chain is what each call goes through, outer the steps of it that a call of an unknown method goes through too, and
	// streams what a stream does.
	chain, outer, streams grpc.UnaryServerInterceptor
	// guarded returns the description of a service whose handlers survive a panic.
	guarded func(*grpc.ServiceDesc) *grpc.ServiceDesc
}

func (s *Server) newHTTP(cfg config.Config, c calls, codec *seamjson.Codec) error {
	headers := []string{interceptor.HeaderCallerRequestID, service.HeaderSDKLanguage}
	for _, header := range seam.Headers() {
		headers = append(headers, header.Name)
	}
	face, err := rest.New(rest.Config{
		Description: c.description,
		Service:     c.handlers,
		Chain:       c.chain,

		MaxRequestBytes:   interceptor.MaxRequestBytes,
		Headers:           headers,
		CORSOrigins:       cfg.CORSOrigins,
		ServiceCredential: cfg.HasServiceCredential(),
		RequireKnownHost:  cfg.CallersFile == "",
		Hosts:             rest.Hosts{Names: cfg.AllowedHosts, LoopbackOnly: onLoopback(s.httpListener.Addr())},
		Codec:             codec,
		Logger:            s.logger,
		RecoverOutside:    s.recoverOutside,
	})
	if err != nil {
		return fmt.Errorf("build the REST face: %w", err)
	}
	s.http = &http.Server{
		Handler:           s.closingConnections(cfg.MaxConnectionAge, face),
		ConnContext:       acceptedNow,
		ReadHeaderTimeout: 10 * time.Second,
		// The step Receive answers a body that comes too slowly; this one ends what no call reads.
		ReadTimeout: interceptor.RequestReadTimeout + 2*time.Second,
		// A response is written at once; the time before it is the call's.
		WriteTimeout:   cfg.MaxTimeout + 60*time.Second,
		IdleTimeout:    120 * time.Second,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(StandardLog{s.logger.Handler()}, slog.LevelWarn),
	}
	return nil
}
