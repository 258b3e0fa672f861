package seam

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// redactor redacts a request's credentials out of the error that came back for it. What comes from outside is shown to
// callers, and something on the way that echoes a request's headers is not unheard of.
type redactor struct {
	// header is that of the request.
	header http.Header
	// replacer is made by error: most responses are none, and nothing is to be redacted.
	replacer *strings.Replacer
}

// shortestSecret keeps words such as Bearer from being redacted; Seam's shortest key is far longer.
const shortestSecret = 8

// secrets are the credentials in the header: the values and the words in them.
func (s redactor) secrets(yield func(string) bool) {
	for _, h := range Headers() {
		if !h.Credential {
			continue
		}
		for _, value := range s.header[h.Key] {
			if len(value) >= shortestSecret && !yield(value) {
				return
			}
			for word := range strings.FieldsSeq(value) {
				if len(word) >= shortestSecret && word != value && !yield(word) {
					return
				}
			}
		}
	}
}

// finds says whether a text has one of the credentials.
func (s redactor) finds(text []byte) bool {
	for secret := range s.secrets {
		if bytes.Contains(text, []byte(secret)) {
			return true
		}
	}
	return false
}

// text scrubs a text.
func (s redactor) text(text string) string { return s.replacer.Replace(text) }

// error scrubs every text of e that Seam wrote. It works on the texts and not on the JSON they came in, where the same
// text can be written in many ways; a body that hides a credential in one of those is not handed on.
func (s redactor) error(e *seamerr.Error) {
	var pairs []string
	for secret := range s.secrets {
		pairs = append(pairs, secret, "(redacted)")
	}
	s.replacer = strings.NewReplacer(pairs...)
	e.Type = s.text(e.Type)
	e.Message = s.text(e.Message)
	e.RequestID = s.text(e.RequestID)
	e.Data = s.value(e.Data)
	e.ValidationErrors, _ = s.value(e.ValidationErrors).(map[string]any)
	e.Body = s.body(e.Body)
}

// body scrubs JSON.
func (s redactor) body(body []byte) []byte {
	if body == nil {
		return nil
	}
	scrubbed := []byte(s.text(string(body)))
	var read any
	decoder := json.NewDecoder(bytes.NewReader(scrubbed))
	decoder.UseNumber() // A number may be beyond any double.
	if err := decoder.Decode(&read); err != nil || !reflect.DeepEqual(read, s.value(read)) {
		return nil
	}
	return scrubbed
}

// value scrubs a JSON value.
func (s redactor) value(value any) any {
	switch value := value.(type) {
	case string:
		return s.text(value)
	case map[string]any:
		if value == nil {
			return value
		}
		scrubbed := make(map[string]any, len(value))
		for name, member := range value {
			scrubbed[s.text(name)] = s.value(member)
		}
		return scrubbed
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
