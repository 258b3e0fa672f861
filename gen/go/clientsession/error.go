package clientsession

import (
	"errors"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// callIDKey is the metadata that has the id of a call.
const callIDKey = "x-request-id"

// Error is the error of a call: its gRPC status, and the details that the service sends along. If the client's own
// deadline has passed or the connection failed, it has no details, only a Code, a Message and a CallID. A write may
// then have been applied.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is what a program decides by, such as [ReasonClientSessionNotFound]. It is Type in upper case.
	Reason string
	// Domain says who defines the reason: "connect.getseam.com" or "client-session-service".
	Domain string
	// Type is the error type in Seam's API, such as "client_session_not_found".
	Type string
	// Message is for people, and may change.
	Message string
	// HTTPStatus is the status of the same error over REST, such as 404.
	HTTPStatus int
	// Violations are the invalid fields of the request.
	Violations []Violation
	// OutcomeUnknown says that a write failed and may have been applied: find out before you repeat it. For an error
	// that does not come from the service, the connection of [Connect] assumes so.
	OutcomeUnknown bool
	// RetryDelay is how long to wait before another call, nil if the service does not say.
	RetryDelay *time.Duration
	// RequestID is Seam's id of the request, for Seam's support. If Seam has not responded, it is the CallID.
	RequestID string
	// CallID is the id of the call in the service's log: what the call sent as "x-request-id". A call without one gets
	// one from [Connect].
	CallID string
	// Data is what Seam adds to some errors: JSON as [encoding/json] has it, a map[string]any for an object, nil if none.
	Data any

	cause error
}

// Violation is an invalid field of a request.
type Violation struct {
	// Field is the path of the field, such as "connected_account_ids[0]". It is empty if the whole request is invalid.
	Field string
	// Description says what is wrong with the field.
	Description string
}

// statusError is what grpc-go's errors are, and those of fakes that are made with package status.
type statusError interface {
	error
	GRPCStatus() *status.Status
}

// FromError reads the error of a call, which may be wrapped. As with [status.FromError], the bool is false if err is
// nil or is not the error of a call. The Error is never nil: a program that only compares the Reason can ignore the
// bool.
func FromError(err error) (*Error, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, true
	}
	st := status.Convert(err)
	call, ok := errors.AsType[statusError](err)
	if ok {
		st = call.GRPCStatus() // Without the texts that wrap it.
	}
	e := &Error{Code: st.Code(), Message: st.Message(), cause: err}
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			e.read(detail)
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{v.GetField(), v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			delay := detail.GetRetryDelay().AsDuration()
			e.RetryDelay = &delay
		case *errdetails.RequestInfo:
			e.RequestID = detail.GetRequestId()
		case *structpb.Struct:
			e.Data = detail.AsMap()
		case *structpb.Value:
			e.Data = detail.AsInterface()
		}
	}
	return e, ok
}

func (e *Error) read(info *errdetails.ErrorInfo) {
	facts := info.GetMetadata()
	e.Reason, e.Domain, e.Type = info.GetReason(), info.GetDomain(), facts["type"]
	e.HTTPStatus, _ = strconv.Atoi(facts["http_status"])
	e.OutcomeUnknown = facts["outcome"] == "unknown"
	e.CallID = facts[callIDKey]
}

// Error is for people: "REASON: message (request id ID, call id ID)", with the gRPC code if there is no reason, and
// without the ids that there are not.
func (e *Error) Error() string {
	text := e.Reason
	if text == "" {
		text = e.Code.String()
	}
	text += ": " + e.Message
	switch {
	case e.RequestID != "" && e.CallID != "":
		return text + " (request id " + e.RequestID + ", call id " + e.CallID + ")"
	case e.RequestID != "":
		return text + " (request id " + e.RequestID + ")"
	case e.CallID != "":
		return text + " (call id " + e.CallID + ")"
	default:
		return text
	}
}

// GRPCStatus is for [status.FromError]: without it the status would have the text of Error as its message.
func (e *Error) GRPCStatus() *status.Status { return status.Convert(e.cause) }

// Unwrap returns the error that FromError has read, so that [status.Code] and [errors.Is] work.
func (e *Error) Unwrap() error { return e.cause }
