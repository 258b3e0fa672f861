package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// writeError writes an error as Seam does: its status, its envelope, and no headers but those set here.
func writeError(w http.ResponseWriter, e *seamerr.Error) {
	header := w.Header()
	header.Set(headerSeamRequestID, e.SeamRequestID)
	if e.RetryAfter != nil {
		header.Set("Retry-After", seamerr.RetryAfterSeconds(*e.RetryAfter))
	}
	if len(e.Allow) > 0 {
		header.Set("Allow", strings.Join(e.Allow, ", "))
	}
	if e.HTTPStatus == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	body, contentType := e.Body, e.ContentType
	if body == nil {
		// Data that was read from JSON can be written as JSON, so there is no error.
		body, _ = e.Envelope()
		contentType = "application/json"
	}
	if body != nil {
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.HTTPStatus)
	// It fails when the caller has closed the connection.
	_, _ = w.Write(body) //nolint:gosec // The body is JSON, or Seam's with its content type.
}
