package seamerr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"regexp"
	"strings"
)

// envelope is the body of Seam's error responses. `data` and `validation_errors` are objects or not there at all.
type envelope struct {
	Error envelopeError `json:"error"`
	OK    bool          `json:"ok"`
}

type envelopeError struct {
	Type    string `json:"type"`
	Message string `json:"message"`

	// These two are of type any so that an empty object is written, a missing one is not, and a value that is no
	// object does not cost the reader the type and the message.
	Data             any `json:"data,omitempty"`
	ValidationErrors any `json:"validation_errors,omitempty"`

	// It is the last one, as with Seam.
	SeamRequestID string `json:"request_id,omitempty"`
}

// Envelope returns the error as the body of a REST response. It returns nil for an error without a type: Seam sent no
// envelope then, and its SDKs distinguish the two.
func (e *Error) Envelope() ([]byte, error) {
	if e.Type == "" {
		return nil, nil
	}
	body := envelopeError{Type: e.Type, Message: e.Message, SeamRequestID: e.SeamRequestID}
	switch {
	case e.Data != nil:
		body.Data = e.Data
	case e.Local && e.OutcomeUnknown:
		body.Data = map[string]any{"outcome": outcomeUnknown}
	}
	switch {
	case e.Violations != nil:
		body.ValidationErrors = tree(e.Violations)
	case e.ValidationErrors != nil:
		body.ValidationErrors = e.ValidationErrors
	}
	text, err := json.Marshal(envelope{Error: body})
	if err != nil {
		return nil, fmt.Errorf("write the error envelope: %w", err)
	}
	return text, nil
}

// maxBodyBytes bounds the body of an error that is handed on.
const maxBodyBytes = 64 << 10

// FromResponse reads a response of Seam that is an error. It is Seam's own only if its content type is that of JSON and
// its body the envelope with a type and a message; any other (empty, HTML, another API's JSON) gives an error without a
// type. JSON of either kind is kept, to be handed on over REST.
func FromResponse(httpStatus int, contentType string, body []byte) *Error {
	e := &Error{
		HTTPStatus: httpStatus,
		Domain:     DomainService,
		Message:    fmt.Sprintf("Seam responded with HTTP status %d without an error of its own", httpStatus),
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || (mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json")) || !json.Valid(body) {
		return e
	}
	if len(body) <= maxBodyBytes {
		e.Body, e.ContentType = body, contentType
	}
	if mediaType == "application/json" {
		e.readEnvelope(body)
	}
	return e
}

// readEnvelope sets the fields of Seam's envelope, if the body is one.
func (e *Error) readEnvelope(body []byte) {
	var read struct {
		Error struct {
			Type             any `json:"type"`
			Message          any `json:"message"`
			SeamRequestID    any `json:"request_id"`
			Data             any `json:"data"`
			ValidationErrors any `json:"validation_errors"`
		} `json:"error"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // Numbers in `data` keep their digits.
	if decoder.Decode(&read) != nil {
		return
	}
	errorType, isText := read.Error.Type.(string)
	message, isMessage := read.Error.Message.(string)
	if !isText || !isMessage || !errorTypePattern.MatchString(errorType) || strings.HasPrefix(errorType, "seam_") {
		return
	}
	e.Type, e.Message, e.Data, e.Domain = errorType, message, read.Error.Data, ""
	e.SeamRequestID, _ = read.Error.SeamRequestID.(string)
	e.ValidationErrors, _ = read.Error.ValidationErrors.(map[string]any)
}

// errorTypePattern matches Seam's error types, which are logged and put into the details of a gRPC status.
var errorTypePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
