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

// controlPrefix starts the paths that steer the sandbox itself. They need no
// credential, take no cross-origin requests, take no faults and are not logged.
const controlPrefix = "/_sandbox/"

// maxControlDelay keeps a delay in milliseconds within a time.Duration.
const maxControlDelay = 3_600_000

// faultJSON is a Fault on the wire.
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

func (s *Sandbox) control(r *http.Request, path string) answer {
	if err := rejectCrossOrigin(r); err != nil {
		return errorAnswer(err)
	}
	type handler struct {
		method string
		serve  func(received) answer
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
		return errorAnswer(errUnknownPath())
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

func okAnswer() answer {
	return answer{status: http.StatusOK, payload: okJSON{OK: true}}
}

func (s *Sandbox) controlRequests(received) answer {
	list := []loggedJSON{}
	for _, r := range s.Requests() {
		list = append(list, loggedJSON{Method: r.Method, Path: r.Path})
	}
	return answer{status: http.StatusOK, payload: requestsJSON{Requests: list, OK: true}}
}

func (s *Sandbox) controlClearRequests(received) answer {
	s.ClearRequests()
	return okAnswer()
}

func (s *Sandbox) controlInject(body received) answer {
	var j faultJSON
	if err := decodeControl(body, &j); err != nil {
		return errorAnswer(errInput(err.Error()))
	}
	if j.DelayMS < 0 || j.DelayMS > maxControlDelay {
		return errorAnswer(errInput("delay_ms must be from 0 to 3600000"))
	}
	err := s.Inject(Fault{
		Path: j.Path, Times: j.Times, Delay: time.Duration(j.DelayMS) * time.Millisecond,
		Status: j.Status, Body: j.Body, ContentType: j.ContentType, Header: j.Header,
		Disconnect: j.Disconnect, RateLimit: j.RateLimit, RetryAfter: j.RetryAfter, NoRequestID: j.NoRequestID,
	})
	if err != nil {
		return errorAnswer(errInput(err.Error()))
	}
	return okAnswer()
}

func (s *Sandbox) controlClearFaults(received) answer {
	s.ClearFaults()
	return okAnswer()
}

// controlReset resets, and freezes the clock when the body names a time.
func (s *Sandbox) controlReset(body received) answer {
	var j resetJSON
	if len(body.bytes) > 0 {
		if err := decodeControl(body, &j); err != nil {
			return errorAnswer(errInput(err.Error()))
		}
	}
	if j.Now == nil {
		s.Reset()
		return okAnswer()
	}
	frozen := *j.Now
	s.resetTo(func() time.Time { return frozen })
	return okAnswer()
}

// decodeControl is strict, so that a misspelled member of a fault does not
// make a test pass for the wrong reason.
func decodeControl(body received, into any) error {
	if body.tooLarge || body.broken {
		return errors.New("the body cannot be read")
	}
	decoder := json.NewDecoder(bytes.NewReader(body.bytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return errors.New("the body is not what this route takes: " + err.Error())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}
