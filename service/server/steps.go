package server

import (
	"slices"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
)

// steps are the chains of interceptors, outermost first.
type steps struct {
	// call is what each call goes through, whichever face it came in by, unknown what a call of an unknown method
	// does, and stream what a stream does.
	call, unknown, stream []grpc.UnaryServerInterceptor
}

// newSteps puts the steps in order, outermost first. What stands further out sees what the inner steps did.
func (s *Server) newSteps(
	cfg config.Config, authenticate grpc.UnaryServerInterceptor, validator protovalidate.Validator, m *metrics,
) steps {
	outer := []grpc.UnaryServerInterceptor{
		interceptor.RecoverCall(s.logger, m.panics),
		// It names all that follows.
		interceptor.RequestID,
		// These two stand outside of the recovery and so see a panic as the error it became.
		interceptor.AccessLog(s.logger, cfg.TrustedProxies),
		interceptor.Metrics(m.registry, servedServices()...),
	}
	recovery := interceptor.Recovery(s.logger, m.panics)
	call := append(slices.Clone(outer),
		recovery,
		interceptor.Deadline(cfg.DefaultTimeout, cfg.MaxTimeout),
		// Who calls is settled on the headers alone, before the body costs any memory and before what is asked: a stranger
		// learns nothing about the input.
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
		// A request that is whole needs a slot: a slow one must not hold any.
		interceptor.InFlight(cfg.MaxInFlight, m.inFlight, m.refused.WithLabelValues(limitInFlight)),
		interceptor.Validation(validator),
		interceptor.CallerRetries,
	)
	stream := append(slices.Clone(outer), interceptor.Streams(interceptor.StreamsConfig{
		Lifetime:  streamLifetime(cfg),
		StreamCtx: s.streamCtx,
		Refused:   m.refused.WithLabelValues(limitStreams),
	}), recovery, authenticate)
	return steps{call: call, unknown: outer, stream: stream}
}
