package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestProfilesAreOff shows that there are no profiles unless the operator turns them on.
func TestProfilesAreOff(t *testing.T) {
	h := start(t)
	for _, path := range []string{"", "heap", "goroutine?debug=2", "cmdline", "symbol", "profile?seconds=1", "trace?seconds=1"} {
		if code, text := h.admin("/debug/pprof/" + path); code != http.StatusNotFound {
			t.Errorf("%s gets %d %.100s", path, code, text)
		}
	}
}

func TestProfilesAreBounded(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.Pprof = true })
	for path, want := range map[string]int{
		"": http.StatusOK, "heap": http.StatusOK, "goroutine?debug=2": http.StatusOK, "symbol": http.StatusOK,
		"trace?seconds=0.01": http.StatusOK, "heap?seconds=1": http.StatusOK, "profile?seconds=1": http.StatusOK,
		"profile?seconds=61": http.StatusBadRequest, "profile?seconds=61&seconds=1": http.StatusBadRequest,
		"trace?seconds=60.1": http.StatusBadRequest, "trace?seconds=1e9": http.StatusBadRequest,
		"trace?seconds=Inf": http.StatusBadRequest, "trace?seconds=NaN": http.StatusBadRequest,
		"trace?seconds=-1": http.StatusBadRequest, "profile?seconds=0": http.StatusBadRequest,
		"heap?seconds=3600": http.StatusBadRequest, "profile?seconds=long": http.StatusBadRequest,
		"profile?seconds=99999999999999999999": http.StatusBadRequest,
		// The command line is no profile.
		"cmdline": http.StatusNotFound,
	} {
		code, text := h.admin("/debug/pprof/" + path)
		if code != want || code == http.StatusBadRequest && !strings.Contains(text, "60") {
			t.Errorf("%s gets %d %.100s, want %d", path, code, text, want)
		}
	}
}

// TestOneProfileAtATime shows that a second profile is refused while one is taken, and that one whose caller left makes
// room.
func TestOneProfileAtATime(t *testing.T) {
	h := start(t, func(cfg *config.Config) { cfg.Pprof = true })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.at.Admin+"/debug/pprof/trace?seconds=60", http.NoBody)
		for err == nil {
			var response *http.Response
			if response, err = h.http.Do(request); err == nil {
				_ = response.Body.Close() // One of the requests below was in the way.
			}
		}
		left <- err
	}()
	for _, path := range []string{"heap", "profile?seconds=1", "trace?seconds=1"} {
		seamtest.Eventually(t, path+" is refused", func() bool {
			code, _ := h.admin("/debug/pprof/" + path)
			return code == http.StatusTooManyRequests
		})
	}
	if code, _ := h.admin("/metrics"); code != http.StatusOK {
		t.Errorf("the metrics get %d", code)
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	seamtest.Eventually(t, "there is room again", func() bool {
		code, _ := h.admin("/debug/pprof/heap")
		return code == http.StatusOK
	})
}
