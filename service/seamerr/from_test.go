package seamerr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestFrom(t *testing.T) {
	const secret = "seam_secret-in-a-cause"
	own := seamerr.NotFound()
	for name, test := range map[string]struct {
		err        error
		code       codes.Code
		httpStatus int
		errorType  string
		message    string
	}{
		"own":          {own, codes.NotFound, 404, "not_found", "Not found"},
		"own, wrapped": {fmt.Errorf("call %s: %w", secret, own), codes.NotFound, 404, "not_found", "Not found"},
		"own around a context's": {
			seamerr.InvalidResponse(context.Canceled), codes.Internal, 502, "upstream_response_invalid",
			"Seam's response could not be understood",
		},
		"cancelled": {
			fmt.Errorf("%s: %w", secret, context.Canceled), codes.Canceled, 499, "canceled", "The caller cancelled the call",
		},
		"deadline": {
			fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), codes.DeadlineExceeded, 504, "upstream_timeout",
			"Seam did not respond in time",
		},
		"status":             {status.Error(codes.Unimplemented, "unknown method X"), codes.Unimplemented, 501, "unimplemented", "unknown method X"},
		"status exhausted":   {status.Error(codes.ResourceExhausted, "x"), codes.ResourceExhausted, 429, "resource_exhausted", "x"},
		"status cancelled":   {status.Error(codes.Canceled, "x"), codes.Canceled, 499, "canceled", "x"},
		"status deadline":    {status.Error(codes.DeadlineExceeded, "x"), codes.DeadlineExceeded, 504, "deadline_exceeded", "x"},
		"status invalid":     {status.Error(codes.InvalidArgument, "x"), codes.InvalidArgument, 400, "invalid_argument", "x"},
		"status range":       {status.Error(codes.OutOfRange, "x"), codes.OutOfRange, 400, "out_of_range", "x"},
		"status exists":      {status.Error(codes.AlreadyExists, "x"), codes.AlreadyExists, 400, "already_exists", "x"},
		"unknown status":     {status.Error(codes.Unauthenticated, "x"), codes.Unauthenticated, 401, "unauthenticated", "x"},
		"status denied":      {status.Error(codes.PermissionDenied, "x"), codes.PermissionDenied, 403, "permission_denied", "x"},
		"status not found":   {status.Error(codes.NotFound, "x"), codes.NotFound, 404, "not_found", "x"},
		"status aborted":     {status.Error(codes.Aborted, "x"), codes.Aborted, 409, "aborted", "x"},
		"status failed":      {status.Error(codes.FailedPrecondition, "x"), codes.FailedPrecondition, 412, "failed_precondition", "x"},
		"status unavailable": {status.Error(codes.Unavailable, "x"), codes.Unavailable, 503, "unavailable", "x"},
		"status unknown":     {status.Error(codes.Unknown, "x"), codes.Unknown, 500, "unknown", "x"},
		"status data loss":   {status.Error(codes.DataLoss, "x"), codes.DataLoss, 500, "data_loss", "x"},
		"anything else":      {errors.New(secret), codes.Internal, 500, "internal_server_error", "Internal error"},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.From(test.err)
			if e.GRPCCode() != test.code || e.HTTPStatus != test.httpStatus || e.Type != test.errorType || e.Message != test.message {
				t.Errorf("error is %s, %+v", e.GRPCCode(), e)
			}
			body, err := e.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{string(body), e.Error(), e.GRPCStatus().String()} {
				if strings.Contains(text, secret) {
					t.Errorf("the caller sees the cause: %s", text)
				}
			}
			// The log must still get at the real cause.
			if !errors.Is(test.err, e) && !errors.Is(e, test.err) {
				t.Errorf("the error %v is lost", test.err)
			}
		})
	}
	if e := seamerr.From(nil); e != nil {
		t.Errorf("no error becomes %v", e)
	}
}
