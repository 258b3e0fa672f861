package server

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
)

// maxProfileSeconds is the maximum duration of a profile or a trace, both of which slow the process down.
const maxProfileSeconds = 60

// newProfiles returns the handler of /debug/pprof/. It serves one request at a time.
func newProfiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	var busy sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.FormValue("seconds"); text != "" {
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil || !(seconds > 0 && seconds <= maxProfileSeconds) {
				http.Error(w, "seconds: needs a number above 0 and of at most "+strconv.Itoa(maxProfileSeconds),
					http.StatusBadRequest)
				return
			}
		}
		if !busy.TryLock() {
			http.Error(w, "another profile or trace is being taken", http.StatusTooManyRequests)
			return
		}
		defer busy.Unlock()
		mux.ServeHTTP(w, r)
	})
}
