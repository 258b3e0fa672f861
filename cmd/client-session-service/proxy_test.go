package main_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestProxy shows that requests to Seam go through the proxy that the environment names, as those of other programs do.
// It is asked for a tunnel, so it does not see what is in them.
func TestProxy(t *testing.T) {
	var asked atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.RequestURI
		asked.Store(&request)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	command := servicetest.Command(t, listen("--seam-endpoint=https://seam.example")...)
	command.Env = append(command.Env, "HTTPS_PROXY="+proxy.URL)
	service := servicetest.Start(t, command)
	service.AwaitReady()
	_ = get(t, "http://"+service.HTTP+"/client_sessions/get", "Bearer seam_apikey")
	if request := asked.Load(); request == nil || *request != "CONNECT seam.example:443" {
		t.Errorf("the proxy is asked for %v", request)
	}
}
