package seamerr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// envelope is the body of Seam's error answers. `data` and `validation_errors` are objects or not there at all.
type envelope struct {
	Error envelopeError `json:"error"`
	OK    bool          `json:"ok"`
}

type envelopeError struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`

	// These two are of type any so that an empty object is written, a missing one is not, and a value that is no
	// object does not cost the reader the type and the message.
	Data             any `json:"data,omitempty"`
	ValidationErrors any `json:"validation_errors,omitempty"`
}

// Envelope returns the error as the body of a REST answer. It returns nil for an error without a type: Seam sent no
// envelope then, and its SDKs tell the two apart.
func (e *Error) Envelope() ([]byte, error) {
	if e.Type == "" {
		return nil, nil
	}
	answer := envelopeError{Type: e.Type, Message: e.Message, RequestID: e.RequestID}
	switch {
	case e.Data != nil:
		answer.Data = e.Data
	case e.Local && e.OutcomeUnknown:
		answer.Data = map[string]any{"outcome": outcomeUnknown}
	}
	switch {
	case e.Problems != nil:
		answer.ValidationErrors = tree(e.Problems)
	case e.ValidationErrors != nil:
		answer.ValidationErrors = e.ValidationErrors
	}
	body, err := json.Marshal(envelope{Error: answer})
	if err != nil {
		return nil, fmt.Errorf("write the error envelope: %w", err)
	}
	return body, nil
}

// FromEnvelope reads the body of an error answer of Seam. A body that is not Seam's envelope (empty, HTML, the text of
// a proxy) gives an error without a type.
func FromEnvelope(httpStatus int, body []byte) *Error {
	var read envelope
	if !json.Valid(body) {
		body = nil // Also what has something after the envelope.
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // Numbers in `data` keep their digits.
	err := decoder.Decode(&read)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = nil // A member of another type than documented does not cost the reader the others.
	}
	if err != nil || read.Error.Type == "" {
		return &Error{
			HTTPStatus: httpStatus,
			Message:    fmt.Sprintf("Seam answered with HTTP status %d and no error of its own", httpStatus),
		}
	}
	data, _ := read.Error.Data.(map[string]any)
	validationErrors, _ := read.Error.ValidationErrors.(map[string]any)
	return &Error{
		HTTPStatus:       httpStatus,
		Type:             read.Error.Type,
		Message:          read.Error.Message,
		Data:             data,
		ValidationErrors: validationErrors,
		RequestID:        read.Error.RequestID,
	}
}
