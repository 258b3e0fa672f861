// Package sandbox is an in-memory stand-in for Seam's client sessions REST API.
//
// A [Sandbox] is an http.Handler that serves all seven endpoints under
// /client_sessions/ with the wire format, the authentication and the
// errors of the real API, on data that lives only in memory. [Listen] puts it
// behind a real TCP listener: tests use it as the upstream, and developers can
// point an SDK at it.
//
// It starts with fixed data (see the constants), makes the same ids and tokens
// after every [Sandbox.Reset], and takes faults with [Sandbox.Inject]. Programs
// in other languages control it over HTTP with the routes below /_sandbox/.
//
// The package shares no code with the service it helps to test, because it is
// also the independent second opinion about how that service should respond.
// Where the behaviour of the real API is not known, the assumption made here is an
// entry of the table in unknown.go.
package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options configure a Sandbox. The zero value is usable.
type Options struct {
	// Now is the clock. When nil it is time.Now.
	Now func() time.Time
}

// Sandbox is the fake API. It is safe for concurrent use. Make it with New.
type Sandbox struct {
	options   Options
	endpoints map[string]endpoint
	faults    faultQueue
	requests  requestLog

	// mu guards the fields below. One lock is held from the check of the
	// credential to the end of a request's effect, so that every request acts
	// on one consistent state.
	mu    sync.Mutex
	now   func() time.Time
	store *store
}

// New makes a Sandbox that holds the seeded data.
func New(options Options) *Sandbox {
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Sandbox{options: options, endpoints: newEndpoints()}
	s.Reset()
	return s
}

// Reset returns to the seeded data and the clock of the options, restarts the
// generator of ids and tokens, and clears the faults and the request log.
func (s *Sandbox) Reset() {
	s.resetTo(s.options.Now)
}

// resetTo is Reset with another clock, which stays until the next reset.
func (s *Sandbox) resetTo(now func() time.Time) {
	s.mu.Lock()
	s.now = now
	s.store = newSeededStore(now())
	s.mu.Unlock()
	s.faults.clear()
	s.requests.clear()
}

// Inject adds a fault to the end of the queue of faults. The first fault in the
// queue that matches its path is applied to a request. Inject returns an error
// for an invalid fault, which is not queued.
func (s *Sandbox) Inject(f Fault) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.faults.add(f)
	return nil
}

// ClearFaults drops all faults, except one that is being applied to a request.
func (s *Sandbox) ClearFaults() {
	s.faults.clear()
}

// Requests returns the requests received since the last reset, oldest first.
// Requests to the control routes are not among them. Only the latest 10,000
// are kept, and fewer when their bodies are very large.
func (s *Sandbox) Requests() []Request {
	return s.requests.list()
}

// ClearRequests empties the list that Requests returns.
func (s *Sandbox) ClearRequests() {
	s.requests.clear()
}

// ServeHTTP serves one request to the API or to a control route.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := uuid.NewString()
	w.Header().Set(headerRequestID, requestID)

	path := normalPath(r.URL.EscapedPath())
	if strings.HasPrefix(path, controlPrefix) {
		s.control(r, path).write(w, requestID)
		return
	}
	setCORS(w, r)
	body := receive(r)
	s.requests.add(r, body.bytes)
	if isPreflight(r) {
		// A preflight uses up no fault: the fault is for the request that the
		// test is about.
		respondToPreflight(w, r)
		return
	}
	if fault, ok := s.faults.take(path); ok {
		if done := fault.apply(w, r, requestID); done {
			return
		}
	}
	s.respond(r, path, body).write(w, requestID)
}
