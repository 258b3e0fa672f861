// Package seamerr is the one error type that a call ends with, whether Seam or the service reports the error.
//
// FromResponse makes it of an error response of Seam, and the constructors make the errors of the service. Both faces
// write it: gRPC by GRPCStatus, REST by Envelope. So the two faces cannot report different errors.
package seamerr

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is how a call failed. All of it but Cause is for the caller.
type Error struct {
	// HTTPStatus is the status of the response over REST: Seam's own where the error is Seam's.
	HTTPStatus int

	// Code is the gRPC code. Zero (OK) means: by the table, from HTTPStatus and Type.
	Code codes.Code

	// Type is Seam's error type, such as client_session_not_found, or one of the types of constructors.go. It is empty
	// when Seam, or a proxy before it, responded without Seam's error envelope.
	Type string

	// Domain is who defines the type. Empty is DomainSeam, for Seam's errors and for the service's errors of Seam's
	// types. Any other error has DomainService, also a response without Seam's error envelope, which may come from any
	// proxy.
	Domain string

	// Message is Seam's message, or a fixed text of the service.
	Message string

	// Data is Seam's `data` member, of any JSON type, nil when there is none.
	Data any

	// Body is the JSON that Seam, or a proxy before it, sent with the error, and ContentType its type. The REST
	// face hands it on as it came. Nil when there was none, or when the error is the service's own.
	Body        []byte
	ContentType string

	// ValidationErrors is Seam's `validation_errors` member when Seam found the violations, nil otherwise.
	ValidationErrors map[string]any

	// Violations are the violations in the input when the service found them, nil otherwise.
	Violations []FieldViolation

	// SeamRequestID names the request: Seam's id when Seam responded, else the service's own.
	SeamRequestID string

	// CallID is the service's id of the call, the caller's x-request-id if it sent one.
	CallID string

	// RetryAfter is how long to wait before a retry, nil when unknown.
	RetryAfter *time.Duration

	// OutcomeUnknown is true when the request may have been applied or not.
	OutcomeUnknown bool

	// NoRetry is true when a client's own retry policy is not to retry the call: the service has retried the request as
	// often as it may, or a retry could double its effect.
	NoRetry bool

	// Allow lists the methods of a path that was requested with another one, for the Allow header of a 405.
	Allow []string

	// Local is true when the service made the error, false when the error is Seam's response.
	Local bool

	// Cause is the real cause, for the log alone.
	Cause error
}

// Error returns the message for the caller; the cause is not part of it.
func (e *Error) Error() string {
	return e.GRPCCode().String() + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// GRPCCode returns the gRPC code of the error.
func (e *Error) GRPCCode() codes.Code {
	if e.Code != codes.OK {
		return e.Code
	}
	return codeOf(e.HTTPStatus, e.Type)
}

// RefusesCredential reports whether Seam refused the credential of the request: it has no other use for these statuses.
func (e *Error) RefusesCredential() bool {
	return !e.Local && (e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden)
}

// From returns err as an *Error, nil for nil. Any other error becomes the cause of one with a fixed text.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if seamError, ok := errors.AsType[*Error](err); ok {
		return seamError
	}
	if errors.Is(err, context.Canceled) {
		return Canceled(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Timeout(err)
	}
	if st, ok := status.FromError(err); ok {
		// grpc-go made this one: its texts hold no values of the call.
		return &Error{
			HTTPStatus: httpStatusOf(st.Code()),
			Code:       st.Code(),
			Type:       snake(st.Code().String()),
			Message:    st.Message(),
			Domain:     DomainService,
			Local:      true,
			Cause:      err,
		}
	}
	return Internal(err)
}

// RetryAfterSeconds returns a wait as a Retry-After header has it, in whole seconds. It is rounded up, so that nobody
// comes back too early.
func RetryAfterSeconds(wait time.Duration) string {
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
