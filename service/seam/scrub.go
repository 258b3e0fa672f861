package seam

import (
	"net/http"
	"strings"

	"github.com/clientsession/service/service/seamerr"
)

// scrubber blots a request's credentials out of the error that came back for it. What comes from outside is shown to
// callers, and something on the way that echoes a request's headers is not unheard of.
type scrubber struct {
	replacer *strings.Replacer
}

// shortestSecret keeps words such as Bearer from being blotted out; Seam's shortest key is far longer.
const shortestSecret = 8

// newScrubber returns a scrubber for the credentials of a request's header: the values and the words in them.
func newScrubber(header http.Header) scrubber {
	var pairs []string
	for _, h := range Headers() {
		if !h.Credential {
			continue
		}
		value := header.Get(h.Name)
		for _, secret := range append([]string{value}, strings.Fields(value)...) {
			if len(secret) >= shortestSecret {
				pairs = append(pairs, secret, "(redacted)")
			}
		}
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

// error scrubs every text of e that Seam wrote. It works on the texts and not on the JSON they came in, where the same
// text can be written in many ways.
func (s scrubber) error(e *seamerr.Error) {
	e.Type = s.replacer.Replace(e.Type)
	e.Message = s.replacer.Replace(e.Message)
	e.RequestID = s.replacer.Replace(e.RequestID)
	e.Data = s.object(e.Data)
	e.ValidationErrors = s.object(e.ValidationErrors)
}

func (s scrubber) object(object map[string]any) map[string]any {
	if object == nil {
		return nil
	}
	scrubbed := make(map[string]any, len(object))
	for name, value := range object {
		scrubbed[s.replacer.Replace(name)] = s.value(value)
	}
	return scrubbed
}

func (s scrubber) value(value any) any {
	switch value := value.(type) {
	case string:
		return s.replacer.Replace(value)
	case map[string]any:
		return s.object(value)
	case []any:
		scrubbed := make([]any, len(value))
		for i, element := range value {
			scrubbed[i] = s.value(element)
		}
		return scrubbed
	default:
		return value
	}
}
