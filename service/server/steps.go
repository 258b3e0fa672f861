package server

import (
	"slices"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
)

// steps are the chains of interceptors, outermost first.
type steps struct {
	// call is the chain of each call of either face, unknown that of a call of an unknown method, and stream that of a
	// stream.
	call, unknown, stream []grpc.UnaryServerInterceptor
}

// newSteps orders the steps, outermost first. An outer step sees the results of the inner ones.
func (s *Server) newSteps(
	cfg config.Config, authenticate grpc.UnaryServerInterceptor, rules interceptor.Rules, m *metrics,
) steps {
	served := servedServices()
	outer := []grpc.UnaryServerInterceptor{
		interceptor.RecoverCall(s.logger, m.panics),
		// It sets the request id, which all other steps use.
		interceptor.RequestID,
	}
	if tracer := s.tracer(); tracer != nil {
		// The access log has its trace id.
		outer = append(outer, interceptor.Tracing(tracer))
	}
	outer = append(outer,
		// These two run outside of the recovery, so they see a panic as an error.
		interceptor.AccessLog(s.logger, cfg.TrustedProxies, served...),
		interceptor.Metrics(m.registry, served...),
	)
	recovery := interceptor.Recovery(s.logger, m.panics)
	call := append(slices.Clone(outer),
		recovery,
		interceptor.Deadline(cfg.DefaultTimeout, cfg.MaxTimeout),
		// Authentication needs the headers only. It precedes the body, so that an unauthenticated client costs no memory,
		// and validation, so that such a client learns nothing about its input.
		authenticate,
	)
	if cfg.CallerRPS > 0 {
		call = append(call, interceptor.CallerRate(cfg.CallerRPS, m.refused.WithLabelValues(limitCaller)))
	}
	call = append(call,
		interceptor.Receive(interceptor.ReceiveConfig{
			MaxInFlight: cfg.MaxInFlight,
			Timeout:     min(interceptor.RequestReadTimeout, cfg.MaxTimeout),
			Logger:      s.logger,
			Registry:    m.registry,
			Refused:     m.refused,
		}),
		// A slot is for a request that has arrived: a slow one must not hold any.
		interceptor.InFlight(cfg.MaxInFlight, m.inFlight, m.refused.WithLabelValues(limitInFlight)),
		interceptor.Validation(rules),
		interceptor.CallerRetries,
	)
	stream := append(slices.Clone(outer), interceptor.Streams(interceptor.StreamsConfig{
		Lifetime:  streamLifetime(cfg),
		StreamCtx: s.streamCtx,
		Refused:   m.refused.WithLabelValues(limitStreams),
	}), recovery, authenticate)
	return steps{call: call, unknown: outer, stream: stream}
}
