package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
)

const headerRequestID = "Seam-Request-Id"

// apiError is an error as the API reports it.
type apiError struct {
	status     int
	kind       string
	message    string
	validation *errorTree // validation is nil when the error is not about fields.
}

// response is a whole response before it is written.
type response struct {
	status  int
	allow   string
	payload any
	err     *apiError
}

type okJSON struct {
	OK bool `json:"ok"`
}

type errorJSON struct {
	Error errorDetailJSON `json:"error"`
	OK    bool            `json:"ok"`
}

type errorDetailJSON struct {
	Type             string     `json:"type"`
	Message          string     `json:"message"`
	ValidationErrors *errorTree `json:"validation_errors,omitempty"`
	RequestID        string     `json:"request_id"`
}

func newError(status int, kind, message string) *apiError {
	return &apiError{status: status, kind: kind, message: message}
}

func errorResponse(err *apiError) response {
	return response{status: err.status, err: err}
}

// errInput is a refused input that is not about one field.
func errInput(message string) *apiError {
	return newError(http.StatusBadRequest, "invalid_input", message)
}

func errInvalidJSON() *apiError {
	return errInput("Invalid JSON")
}

func errQuery(message string) *apiError {
	return newError(http.StatusBadRequest, "invalid_query_params", message)
}

func errUnauthorized(message string) *apiError {
	return newError(http.StatusUnauthorized, "unauthorized", message)
}

func errMayNotCall() *apiError {
	return errUnauthorized("No authentication methods succeeded")
}

func errWorkspace() *apiError {
	return newError(http.StatusUnauthorized, "workspace_not_found", "Workspace not found")
}

func errSessionNotFound() *apiError {
	return newError(http.StatusNotFound, "client_session_not_found", "Could not find client session")
}

func errUnknownPath() *apiError {
	return newError(http.StatusNotFound, "not_found", "Not found")
}

// write writes the response. requestID is also the value of the header seam-request-id.
func (r response) write(w http.ResponseWriter, requestID string) {
	payload := r.payload
	if r.err != nil {
		payload = errorJSON{Error: errorDetailJSON{
			Type: r.err.kind, Message: r.err.message, ValidationErrors: r.err.validation, RequestID: requestID,
		}}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	// The API does not escape <, > and & the way Go does by itself.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		// Every payload is made of strings, numbers and lists, so this is a bug
		// of this package and must not look like a response of the API.
		panic(err)
	}
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	// A write fails when the client has closed the connection.
	_, _ = w.Write(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
}
