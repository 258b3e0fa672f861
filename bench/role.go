package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ready is the line in the log of a program with the addresses on which it listens. It has the form of the service's,
// so that the driver waits for all programs in the same way.
type ready struct {
	Message string `json:"msg"`
	GRPC    string `json:"grpc,omitempty"`
	HTTP    string `json:"http,omitempty"`
	Admin   string `json:"admin,omitempty"`
}

// openFaces listens for both faces, serves the metrics of the Go runtime under the service's names, and logs the
// addresses. A connection to a face that the role does not serve is never accepted.
func openFaces(ctx context.Context, more ...prometheus.Collector) (overGRPC, overHTTP net.Listener, err error) {
	var listeners [3]net.Listener
	for i := range listeners {
		if listeners[i], err = listen(ctx); err != nil {
			return nil, nil, err
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(append(more, collectors.NewGoCollector())...)
	admin := newServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	go func() { _ = admin.Serve(listeners[2]) }()
	return listeners[0], listeners[1], json.NewEncoder(os.Stderr).Encode(ready{
		Message: "ready", GRPC: listeners[0].Addr().String(), HTTP: listeners[1].Addr().String(),
		Admin: listeners[2].Addr().String(),
	})
}

func listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
}

// tunedTransport keeps a connection for each call that can be in flight; http.DefaultTransport keeps two.
func tunedTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 8192, DisableCompression: true}
}
