// Package seamerr is an error in Seam's terms: the one kind of error that a call ends with, whoever found the fault.
//
// Seam's own errors are read into it, refusals of ours are made as one, and both faces answer from it: gRPC by
// GRPCStatus, REST by Envelope. So the two faces cannot say different things.
package seamerr

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is how a call failed. What it says is for the caller, but for Cause.
type Error struct {
	// HTTPStatus is the status of the response over REST: Seam's own where the error is Seam's.
	HTTPStatus int

	// Code is the gRPC code. Zero (OK) means: by the table, from HTTPStatus and Type.
	Code codes.Code

	// Type is Seam's error type, such as client_session_not_found, or one of the types of constructors.go. It is empty
	// when Seam, or a proxy before it, answered without Seam's error envelope.
	Type string

	// Domain is who defines the type. Empty is DomainSeam, for what Seam says and for what the service says in Seam's
	// words. Any other error has DomainService, also a response without Seam's error envelope: nobody knows who it was
	// that responded so.
	Domain string

	// Message is Seam's message, or a fixed text of ours.
	Message string

	// Data is Seam's `data` member, of any JSON type, nil when there is none.
	Data any

	// Body is the JSON that Seam, or what answered in its place, sent with the error, and ContentType its type. The REST
	// face hands it on as it came. Nil when there was none, or when the error is the service's own.
	Body        []byte
	ContentType string

	// ValidationErrors is Seam's `validation_errors` member when Seam found the violations, nil otherwise.
	ValidationErrors map[string]any

	// Violations are the faults in the input when they were found here, nil otherwise.
	Violations []FieldViolation

	// RequestID names the request: Seam's id when Seam answered, else the service's own.
	RequestID string

	// CallID is the service's id of the call, the caller's x-request-id if it sent one.
	CallID string

	// RetryAfter is how long to wait before another try, nil when nobody said.
	RetryAfter *time.Duration

	// OutcomeUnknown is true when the request may have been carried out or not.
	OutcomeUnknown bool

	// NoRetry is true when a client's own retry policy is not to retry the call: the service has repeated the request as
	// often as it may, or a retry could double its effect.
	NoRetry bool

	// Allow lists the methods of a path that was asked with another one, for the Allow header of a 405.
	Allow []string

	// Local is true when the service found the fault, false when the error is Seam's response.
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

// RefusesCredential says whether Seam refused the credential of the request: nothing else answers with these statuses.
func (e *Error) RefusesCredential() bool {
	return !e.Local && (e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden)
}

// From returns err as an *Error, nil for nil. An error that is none becomes one with a fixed text, and is its cause.
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
		// grpc-go made this one: its texts are about the call and hold no values of it.
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
