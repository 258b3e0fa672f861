package seam

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// redactor redacts a request's credentials in its error response. Callers see these responses, and some proxies echo a
// request's headers.
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

// finds reports whether a text has one of the credentials.
func (s redactor) finds(text []byte) bool {
	for secret := range s.secrets {
		if bytes.Contains(text, []byte(secret)) {
			return true
		}
	}
	return false
}

// text redacts a text.
func (s redactor) text(text string) string { return s.replacer.Replace(text) }

// error redacts every text of e that Seam wrote. It works on the decoded texts, since JSON can escape the same text in
// many ways. A body with an escaped credential is dropped.
func (s redactor) error(e *seamerr.Error) {
	var pairs []string
	for secret := range s.secrets {
		pairs = append(pairs, secret, "(redacted)")
	}
	s.replacer = strings.NewReplacer(pairs...)
	e.Type = s.text(e.Type)
	e.Message = s.text(e.Message)
	e.SeamRequestID = s.text(e.SeamRequestID)
	e.Data = s.value(e.Data)
	e.ValidationErrors, _ = s.value(e.ValidationErrors).(map[string]any)
	e.Body = s.body(e.Body)
}

// body redacts JSON.
func (s redactor) body(body []byte) []byte {
	if body == nil {
		return nil
	}
	redacted := []byte(s.text(string(body)))
	var read any
	decoder := json.NewDecoder(bytes.NewReader(redacted))
	decoder.UseNumber() // A number may overflow a float64.
	if err := decoder.Decode(&read); err != nil || !reflect.DeepEqual(read, s.value(read)) {
		return nil
	}
	return redacted
}

// value redacts a JSON value.
func (s redactor) value(value any) any {
	switch value := value.(type) {
	case string:
		return s.text(value)
	case map[string]any:
		if value == nil {
			return value
		}
		redacted := make(map[string]any, len(value))
		for name, member := range value {
			redacted[s.text(name)] = s.value(member)
		}
		return redacted
	case []any:
		redacted := make([]any, len(value))
		for i, element := range value {
			redacted[i] = s.value(element)
		}
		return redacted
	default:
		return value
	}
}
