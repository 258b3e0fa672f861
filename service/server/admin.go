package server

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/clientsession/client-session-service/service/rest"
)

// newAdmin returns the server of the admin listener.
func (s *Server) newAdmin() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(openMetrics{s.metrics.registry}, promhttp.HandlerOpts{
		Registry:          s.metrics.registry,
		EnableOpenMetrics: true, // Which has exemplars.
	}))
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_ = s.cfg.Print(w)
	})
	if s.cfg.Pprof {
		mux.Handle("GET /debug/pprof/", newProfiles())
	}
	handleLogLevel(mux, s.cfg.LogLevel, s.logger)
	hosts := rest.Hosts{Names: s.cfg.AllowedHosts}
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Allow(r.Host) {
			http.Error(w, "this host is neither an address nor named by --allowed-host", http.StatusForbidden)
			return
		}
		sameOrigin.ServeHTTP(w, r)
	})
	server := &http.Server{
		Handler:        rest.WithProbes(s.ready.Load, guarded),
		ReadTimeout:    10 * time.Second, // A body that never arrives would keep its connection for good.
		IdleTimeout:    120 * time.Second,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(StandardLog{s.logger.Handler()}, slog.LevelWarn),
	}
	if s.cfg.Channelz {
		addChannelz(mux, server)
	}
	return server
}

// openMetrics gathers the metrics without the gauge that has the name of a counter, which OpenMetrics forbids: a strict
// parser refuses the page. The gauge has the value of go_memstats_heap_alloc_bytes.
type openMetrics struct{ prometheus.Gatherer }

// Gather implements prometheus.Gatherer.
func (g openMetrics) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.Gatherer.Gather()
	isForbidden := func(f *dto.MetricFamily) bool { return f.GetName() == "go_memstats_alloc_bytes" }
	return slices.DeleteFunc(families, isForbidden), err
}
