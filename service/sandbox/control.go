package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// controlPrefix starts the paths that control the sandbox itself. They need no
// credential, refuse cross-origin requests, take no faults and are not logged.
const controlPrefix = "/_sandbox/"

// maxControlDelay keeps a delay in milliseconds within a time.Duration.
const maxControlDelay = 3_600_000

// faultJSON is a Fault in JSON.
type faultJSON struct {
	Path        string            `json:"path"`
	Times       int               `json:"times"`
	DelayMS     int64             `json:"delay_ms"`
	Status      int               `json:"status"`
	Body        string            `json:"body"`
	ContentType string            `json:"content_type"`
	Header      map[string]string `json:"header"`
	Disconnect  Disconnect        `json:"disconnect"`
	RateLimit   bool              `json:"rate_limit"`
	RetryAfter  int               `json:"retry_after"`
	NoRequestID bool              `json:"no_request_id"`
}

type resetJSON struct {
	Now *time.Time `json:"now"`
}

// loggedJSON shows a request without what may hold secrets.
type loggedJSON struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

type requestsJSON struct {
	Requests []loggedJSON `json:"requests"`
	OK       bool         `json:"ok"`
}

func (s *Sandbox) control(r *http.Request, path string) response {
	if err := rejectCrossOrigin(r); err != nil {
		return errorResponse(err)
	}
	type handler struct {
		method string
		serve  func(received) response
	}
	handlers := map[string][]handler{
		controlPrefix + "requests": {
			{http.MethodGet, s.controlRequests}, {http.MethodDelete, s.controlClearRequests},
		},
		controlPrefix + "faults": {
			{http.MethodPost, s.controlInject}, {http.MethodDelete, s.controlClearFaults},
		},
		controlPrefix + "reset": {{http.MethodPost, s.controlReset}},
	}[path]
	if handlers == nil {
		return errorResponse(errUnknownPath())
	}
	var methods []string
	for _, h := range handlers {
		methods = append(methods, h.method)
	}
	i := slices.Index(methods, r.Method)
	if i < 0 {
		return methodNotAllowed(methods)
	}
	return handlers[i].serve(receive(r))
}

func okResponse() response {
	return response{status: http.StatusOK, payload: okJSON{OK: true}}
}

func (s *Sandbox) controlRequests(received) response {
	list := []loggedJSON{}
	for _, r := range s.Requests() {
		list = append(list, loggedJSON{Method: r.Method, Path: r.Path})
	}
	return response{status: http.StatusOK, payload: requestsJSON{Requests: list, OK: true}}
}

func (s *Sandbox) controlClearRequests(received) response {
	s.ClearRequests()
	return okResponse()
}

func (s *Sandbox) controlInject(body received) response {
	var j faultJSON
	if err := decodeControl(body, &j); err != nil {
		return errorResponse(errInput(err.Error()))
	}
	if j.DelayMS < 0 || j.DelayMS > maxControlDelay {
		return errorResponse(errInput("delay_ms must be from 0 to 3600000"))
	}
	err := s.Inject(Fault{
		Path: j.Path, Times: j.Times, Delay: time.Duration(j.DelayMS) * time.Millisecond,
		Status: j.Status, Body: j.Body, ContentType: j.ContentType, Header: j.Header,
		Disconnect: j.Disconnect, RateLimit: j.RateLimit, RetryAfter: j.RetryAfter, NoRequestID: j.NoRequestID,
	})
	if err != nil {
		return errorResponse(errInput(err.Error()))
	}
	return okResponse()
}

func (s *Sandbox) controlClearFaults(received) response {
	s.ClearFaults()
	return okResponse()
}

// controlReset resets the sandbox, and freezes its clock when the body has a time.
func (s *Sandbox) controlReset(body received) response {
	var j resetJSON
	if len(body.bytes) > 0 {
		if err := decodeControl(body, &j); err != nil {
			return errorResponse(errInput(err.Error()))
		}
	}
	if j.Now == nil {
		s.Reset()
		return okResponse()
	}
	frozen := *j.Now
	s.resetTo(func() time.Time { return frozen })
	return okResponse()
}

// decodeControl refuses unknown members, so that a misspelt member of a fault
// does not make a test pass for the wrong reason.
func decodeControl(body received, into any) error {
	if body.tooLarge || body.readFailed {
		return errors.New("the body cannot be read")
	}
	decoder := json.NewDecoder(bytes.NewReader(body.bytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return errors.New("the body is invalid: " + err.Error())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body has more after the JSON object")
	}
	return nil
}
