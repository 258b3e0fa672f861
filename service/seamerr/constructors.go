package seamerr

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// The errors that the service itself ends a call with. Each has a fixed text; types that Seam also uses are Seam's.

// Unauthorized refuses a call that has no credential at all.
func Unauthorized() *Error {
	return seamStyleError(http.StatusUnauthorized, "unauthorized", "No authentication methods succeeded", nil)
}

// Forbidden refuses a caller that is known and may not call the RPC.
func Forbidden(rpc string) *Error {
	return serviceError(http.StatusForbidden, "forbidden", "The caller may not call "+rpc, nil)
}

// CrossOrigin refuses a cross-origin request of a browser (CSRF).
func CrossOrigin() *Error {
	return serviceError(http.StatusForbidden, "forbidden", "Pages of this origin may not call", nil)
}

// ServiceCredentialRefused reports that Seam refused the service credential. The operator has to replace it. The caller
// gets an internal error and not a 401, which would mean that its own credential is wrong.
func ServiceCredentialRefused(refusal *Error) *Error {
	cause := refusal.Cause
	if cause == nil {
		cause = fmt.Errorf("HTTP status %d, %s", refusal.HTTPStatus, refusal.Type)
	}
	e := serviceError(http.StatusInternalServerError, "upstream_credential_refused",
		"The service is not set up right", fmt.Errorf("the service credential is refused: %w", cause))
	e.SeamRequestID = refusal.SeamRequestID
	return e
}

// Overloaded refuses a call because the limit of calls in flight is reached. It is a 503 over REST, since the request
// is valid and another replica may have capacity; over gRPC it is RESOURCE_EXHAUSTED, which clients do not retry by
// default, so that retries do not multiply the load.
func Overloaded(wait time.Duration) *Error {
	e := serviceError(http.StatusServiceUnavailable, "overloaded", "The service has too many calls in flight", nil)
	e.Code = codes.ResourceExhausted
	e.RetryAfter = &wait
	return e
}

// CallerRateLimited refuses a call because its caller exceeds the rate limit.
func CallerRateLimited(wait time.Duration) *Error {
	e := serviceError(http.StatusTooManyRequests, "caller_rate_limited", "The caller makes more calls than it may", nil)
	e.RetryAfter = &wait
	return e
}

// InvalidJSON refuses a body that is not one JSON value.
func InvalidJSON(cause error) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_input", "Invalid JSON", cause)
}

// InvalidContentType refuses a body that does not say that it is JSON, for a request of the given HTTP method.
func InvalidContentType(method string) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_content_type",
		method+` requests must have Content-Type header with "application/json"`, nil)
}

// InvalidQuery refuses a query string that cannot be unescaped.
func InvalidQuery() *Error { return invalidQuery("Invalid query string") }

// UnrecognizedParameter refuses a query parameter that the request does not have.
func UnrecognizedParameter(name string) *Error {
	return invalidQuery("Unrecognized query parameter: '" + name + "'")
}

// RepeatedParameter refuses a query parameter that is given more than once.
func RepeatedParameter(name string) *Error {
	return invalidQuery("Repeated query parameter: '" + name + "'")
}

func invalidQuery(message string) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_query_params", message, nil)
}

// RepeatedHeader refuses a credential header that is given more than once.
func RepeatedHeader(name string) *Error { return invalidHeader(name, "is given more than once") }

// SecondCredential refuses a header with another credential than that of the header before it.
func SecondCredential(name string) *Error { return invalidHeader(name, "has a second credential") }

// InvalidHeader refuses a credential header with control characters.
func InvalidHeader(name string) *Error {
	return invalidHeader(name, "has characters that are not allowed")
}

func invalidHeader(name, violation string) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_input", "Header "+name+" "+violation, nil)
}

// PayloadTooLarge refuses a body of more than limit bytes.
func PayloadTooLarge(limit int) *Error {
	return serviceError(http.StatusRequestEntityTooLarge, "payload_too_large",
		fmt.Sprintf("Request body is larger than %d KiB", limit>>10), nil)
}

// RequestTimeout reports a request body that did not arrive in time. No request was sent to Seam.
func RequestTimeout(cause error) *Error {
	return serviceError(http.StatusRequestTimeout, "request_timeout", "The request did not arrive in time", cause)
}

// InvalidMessage refuses a gRPC message that cannot be decoded. The error is the caller's, so it is not the INTERNAL
// with which gRPC libraries respond and on which operators have alerts.
func InvalidMessage(cause error) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_input", "Request message could not be decoded", cause)
}

// UnknownMethod refuses a gRPC method that does not exist.
func UnknownMethod() *Error {
	return serviceError(http.StatusNotImplemented, "method_not_found", "There is no such method", nil)
}

// Unsupported refuses what gRPC allows and the service does not, such as compressed messages.
func Unsupported(what string) *Error {
	return serviceError(http.StatusNotImplemented, "unsupported", what+" is not supported", nil)
}

// StreamEnded ends a stream that would otherwise stay open, such as a health watch.
func StreamEnded(message string, cause error) *Error {
	return serviceError(http.StatusServiceUnavailable, "stream_ended", message, cause)
}

// UnreadableBody reports a request body that ended early or did not arrive in time.
func UnreadableBody(cause error) *Error {
	return seamStyleError(http.StatusBadRequest, "invalid_input", "Request body could not be read", cause)
}

// NotFound refuses a path that does not exist.
func NotFound() *Error {
	return seamStyleError(http.StatusNotFound, "not_found", "Not found", nil)
}

// MethodNotAllowed refuses a path that exists, but not for this method.
func MethodNotAllowed(allow []string) *Error {
	message := "only " + strings.Join(allow, ",") + " accepted"
	e := seamStyleError(http.StatusMethodNotAllowed, "method_not_allowed", message, nil)
	e.Allow = allow
	return e
}

// Unreachable reports that no response came from Seam: the request could not be sent, or the connection was lost.
func Unreachable(cause error) *Error {
	return serviceError(http.StatusServiceUnavailable, "upstream_unreachable", "Seam could not be reached", cause)
}

// CircuitOpen reports that no request was sent, because the circuit breaker is open after repeated failures of Seam.
// The cause is that of the last failure.
func CircuitOpen(wait time.Duration, cause error) *Error {
	e := serviceError(http.StatusServiceUnavailable, "upstream_circuit_open", "Seam is failing and was not asked", cause)
	e.RetryAfter = &wait
	return e
}

// Timeout reports that the deadline passed before Seam responded. The request may have been applied.
func Timeout(cause error) *Error {
	return serviceError(http.StatusGatewayTimeout, "upstream_timeout", "Seam did not respond in time", cause)
}

// Canceled reports that the caller cancelled the call. The request may have been applied.
func Canceled(cause error) *Error {
	e := serviceError(statusClientClosedRequest, "canceled", "The caller cancelled the call", cause)
	e.Code = codes.Canceled
	return e
}

// InvalidResponse reports a malformed response of Seam. The request was applied if the status of that response was a
// 2xx, so the code is not one that clients retry by default.
func InvalidResponse(cause error) *Error {
	e := serviceError(http.StatusBadGateway, "upstream_response_invalid",
		"Seam's response could not be understood", cause)
	e.Code = codes.Internal
	return e
}

// WithUnknownOutcome returns the error of a request that Seam may have applied. A retry of an idempotent request is
// safe, so its error only gets the unknown outcome. Any other retry could double the effect, so the error becomes one
// that clients do not retry by default: it is neither UNAVAILABLE nor RESOURCE_EXHAUSTED, and where it is the service's
// own it is no 5xx, which some of Seam's SDKs retry for every method. A response of Seam keeps its status over REST.
func (e *Error) WithUnknownOutcome(idempotent bool) *Error {
	unknown := *e
	unknown.OutcomeUnknown = true
	if e.Local {
		unknown.Message += ", and the outcome is unknown"
	}
	if idempotent {
		return &unknown
	}
	unknown.NoRetry = true
	switch unknown.Code = e.GRPCCode(); unknown.Code {
	case codes.ResourceExhausted: // There was no memory for the response.
		unknown.Code, unknown.RetryAfter = codes.Unknown, nil
	case codes.Unavailable:
		unknown.Code = codes.Unknown
	}
	if e.Local && e.HTTPStatus != statusClientClosedRequest {
		unknown.HTTPStatus = http.StatusFailedDependency
	}
	return &unknown
}

// ProxyRefused reports that a proxy before Seam requires authentication of the service. The operator has to configure
// it, so the caller gets an internal error.
func ProxyRefused() *Error {
	return serviceError(http.StatusInternalServerError, "upstream_proxy_refused", "The service is not set up right",
		errors.New("a proxy before Seam responded with HTTP status 407"))
}

// Internal reports an error inside the service.
func Internal(cause error) *Error {
	return seamStyleError(http.StatusInternalServerError, "internal_server_error", "Internal error", cause)
}

// serviceError is an error of a type that Seam does not have.
func serviceError(httpStatus int, errorType, message string, cause error) *Error {
	e := seamStyleError(httpStatus, errorType, message, cause)
	e.Domain = DomainService
	return e
}

// seamStyleError is an error of the service that reads like one of Seam's.
func seamStyleError(httpStatus int, errorType, message string, cause error) *Error {
	return &Error{HTTPStatus: httpStatus, Type: errorType, Message: message, Local: true, Cause: cause}
}
