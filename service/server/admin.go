package server

import (
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/rest"
)

// newAdmin returns the server of the admin listener.
func (s *Server) newAdmin(cfg config.Config, m *metrics) *http.Server {
	return &http.Server{
		Handler:           newAdminHandler(cfg, m.registry, &s.ready),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(StandardLog{s.logger.Handler()}, slog.LevelWarn),
	}
}

// newAdminHandler returns the handler of the admin listener. The service is live as long as it responds at all, and
// ready while it accepts calls, whatever the state of Seam: removing a replica during an outage of Seam would not help.
func newAdminHandler(cfg config.Config, registry *prometheus.Registry, ready *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry:          registry,
		EnableOpenMetrics: true, // Which has exemplars.
	}))
	if cfg.Pprof {
		mux.Handle("GET /debug/pprof/", newProfiles())
	}
	hosts := rest.Hosts{Names: cfg.AllowedHosts}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Allow(r.Host) {
			http.Error(w, "this host is neither an address nor named by --allowed-host", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
