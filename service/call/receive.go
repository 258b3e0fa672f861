package call

import (
	"errors"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// newRequestBuffer returns the buffer of the requests that arrive.
func newRequestBuffer(config Config) *requestBuffer {
	b := &requestBuffer{
		maxArriving: max(minArriving, config.MaxInFlight/arrivingShare),
		maxBytes:    max(minBufferBytes, config.MaxInFlight*bytesPerCall),
		timeout:     min(RequestReadTimeout, config.MaxTimeout),
		logger:      config.Logger,
		evicted:     config.Refused.WithLabelValues("request_buffer"),
		timedOut:    config.Refused.WithLabelValues("request_time"),
		rejected:    config.Refused.WithLabelValues("request_bytes"),
	}
	config.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_requests_arriving",
			Help: "Requests whose body is being read.",
		}, b.arriving),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_request_buffer_bytes",
			Help: "Bytes of the requests that are in memory, arriving or in flight.",
		}, b.inMemory),
	)
	return b
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
		if into.length > MaxRequestBytes {
			return seamerr.PayloadTooLarge(MaxRequestBytes)
		}
		if refusal := a.received(n); refusal != nil {
			return refusal
		}
		if ended {
			return nil
		}
	}
}
