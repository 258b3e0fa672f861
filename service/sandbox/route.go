package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// endpoint declares one path of the API.
type endpoint struct {
	methods []string // methods are in the order in which a 405 lists them.
	callers callerKind
	query   bool // query tells whether parameters may be in the query string.
	fields  []field
	refine  func(input) []violation // refine runs when no field has a violation.
	serve   func(*call) (any, *apiError)
}

// field finds the parameter of a name.
func (e endpoint) field(name string) (f field, known bool) {
	i := slices.IndexFunc(e.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return e.fields[i], true
}

func newEndpoints() map[string]endpoint {
	const (
		get, post, put     = http.MethodGet, http.MethodPost, http.MethodPut
		patch, del         = http.MethodPatch, http.MethodDelete
		servers            = callerAPIKey | callerAccessToken | callerConsole
		serversAndBrowsers = servers | callerPublishableKey
	)
	return map[string]endpoint{
		"/client_sessions/create": {
			methods: []string{post, put}, callers: serversAndBrowsers,
			fields: createFields(), serve: (*call).create,
		},
		"/client_sessions/get": {
			methods: []string{get, post}, callers: servers | callerClientSession, query: true,
			fields: getFields(), serve: (*call).get,
		},
		"/client_sessions/get_or_create": {
			methods: []string{post}, callers: serversAndBrowsers,
			fields: getOrCreateFields(), serve: (*call).getOrCreate,
		},
		"/client_sessions/list": {
			methods: []string{get, post}, callers: servers, query: true,
			fields: listFields(), serve: (*call).list,
		},
		"/client_sessions/grant_access": {
			methods: []string{patch, post}, callers: servers, query: true,
			fields: grantAccessFields(), refine: needsAnyParameter, serve: (*call).grantAccess,
		},
		"/client_sessions/revoke": {
			methods: []string{post}, callers: servers, query: true,
			fields: sessionIDFields(), serve: (*call).revoke,
		},
		"/client_sessions/delete": {
			methods: []string{del, post}, callers: servers, query: true,
			fields: sessionIDFields(), serve: (*call).remove,
		},
	}
}

// normalPath drops doubled slashes at the start of a path, which clients that
// join URLs carelessly send. It never leads to a redirect, because clients
// follow a redirect with a GET and lose the body.
func normalPath(path string) string {
	return "/" + strings.TrimLeft(path, "/")
}

// respond runs the checks of an API request in their order and then the request.
func (s *Sandbox) respond(r *http.Request, path string, body received) response {
	endpoint, known := s.endpoints[path]
	if !known {
		return errorResponse(errUnknownPath())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Truncate(time.Millisecond)
	caller, err := s.store.authenticate(r.Header, endpoint.callers, now)
	if err != nil {
		return errorResponse(err)
	}
	if !slices.Contains(endpoint.methods, r.Method) {
		return methodNotAllowed(endpoint.methods)
	}
	root, err := decodeBody(r.Method, r.Header.Get("Content-Type"), body)
	if err != nil {
		return errorResponse(err)
	}
	if caller.kind == callerPublishableKey {
		if root, err = withUserIdentifier(root, r.Header); err != nil {
			return errorResponse(err)
		}
	}
	query, err := decodeQuery(r.URL.RawQuery, endpoint)
	if err != nil {
		return errorResponse(err)
	}
	in, violations := validate(endpoint, merge(query, root))
	if len(violations) > 0 {
		return errorResponse(errViolations(violations))
	}
	c := &call{store: s.store, caller: caller, method: r.Method, in: in, now: now}
	payload, err := endpoint.serve(c)
	if err != nil {
		return errorResponse(err)
	}
	return response{status: http.StatusOK, payload: payload}
}
