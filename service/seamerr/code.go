package seamerr

import (
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
)

// codeOf is the one table from Seam's errors to gRPC codes.
func codeOf(httpStatus int, errorType string) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		if strings.HasSuffix(errorType, "_already_exists") {
			return codes.AlreadyExists
		}
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusPreconditionFailed:
		return codes.FailedPrecondition
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return codes.Unavailable
	case statusOriginDown, statusOriginUnconnected, statusOriginUnreachable, statusOriginNoTLS, statusOriginBadTLS:
		return codes.Unavailable
	case statusOriginTimeout:
		return codes.DeadlineExceeded
	}
	if httpStatus >= 400 && httpStatus < 500 {
		return codes.InvalidArgument
	}
	return codes.Internal
}

// httpStatusOf is the HTTP status of an error that did not come from Seam and has nothing but a gRPC code.
func httpStatusOf(code codes.Code) int {
	switch code {
	case codes.Canceled:
		return statusClientClosedRequest
	case codes.InvalidArgument, codes.OutOfRange, codes.AlreadyExists:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.Aborted:
		return http.StatusConflict
	case codes.FailedPrecondition:
		return http.StatusPreconditionFailed
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// The statuses of a content delivery network that gets no response from the server behind it.
const (
	statusOriginDown        = 521
	statusOriginUnconnected = 522
	statusOriginUnreachable = 523
	statusOriginTimeout     = 524
	statusOriginNoTLS       = 525
	statusOriginBadTLS      = 526
)

// statusClientClosedRequest is the customary status for a caller that left: it is only logged.
const statusClientClosedRequest = 499
