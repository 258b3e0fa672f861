package call

import (
	"errors"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// requestBuffers are the buffers of the requests that arrive: one for the methods that need a credential, and a small
// one for the public methods, so that clients without a credential cannot evict the requests of callers.
type requestBuffers struct{ authenticated, public *requestBuffer }

func newRequestBuffers(config Config) requestBuffers {
	newBuffer := func(maxArriving, maxBytes, maxRequest int) *requestBuffer {
		return &requestBuffer{
			maxArriving: maxArriving, maxBytes: maxBytes, maxRequest: maxRequest,
			timeout:  min(RequestReadTimeout, config.MaxTimeout),
			logger:   config.Logger,
			evicted:  config.Refused.WithLabelValues("request_buffer"),
			timedOut: config.Refused.WithLabelValues("request_time"),
			rejected: config.Refused.WithLabelValues("request_bytes"),
		}
	}
	b := requestBuffers{
		authenticated: newBuffer(max(minArriving, config.MaxInFlight/arrivingShare),
			max(minBufferBytes, config.MaxInFlight*bytesPerCall), MaxRequestBytes),
		public: newBuffer(minArriving, minArriving*maxPublicRequestBytes, maxPublicRequestBytes),
	}
	config.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_requests_arriving",
			Help: "Requests whose body is being read.",
		}, func() float64 { return b.authenticated.arriving() + b.public.arriving() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_request_buffer_bytes",
			Help: "Bytes of the requests that are in memory, arriving or in flight.",
		}, func() float64 { return b.authenticated.inMemory() + b.public.inMemory() }),
	)
	return b
}

// add adds an arrival for the request of a call.
func (b requestBuffers) add(c *Call, f Face) *arrival {
	if c.Method.Public {
		return b.public.add(f.Cut)
	}
	return b.authenticated.add(f.Cut)
}

// decode reads the body of the request and decodes it into message. It frees the body's memory at once: the message has
// its own copy of all that it needs.
func (a *arrival) decode(f Face, request proto.Message) *seamerr.Error {
	var whole body
	defer whole.free()
	err := a.read(f, &whole)
	if cut := a.arrived(); cut != nil {
		return cut
	}
	if err != nil {
		return err
	}
	return f.Decode(whole.bytes(), request)
}

// read reads the body to its end.
func (a *arrival) read(from Face, into *body) *seamerr.Error {
	for {
		n, err := from.Read(into.space())
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return seamerr.From(err)
		}
		into.add(n)
		if into.length > a.buffer.maxRequest {
			return seamerr.PayloadTooLarge(a.buffer.maxRequest)
		}
		if refusal := a.received(n); refusal != nil {
			return refusal
		}
		if ended {
			return nil
		}
	}
}
