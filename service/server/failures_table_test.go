package server_test

import (
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// failureCase is one case of how the service refuses a call or tells of Seam's failure, over both faces. What Seam
// refuses is in the requests of TestScenarios, and what is retried in TestWhatIsRetried of service/seam.
type failureCase struct {
	name string

	// What Seam does: a fault of the sandbox, or no Seam at all.
	fault    sandbox.Fault
	seamDown bool
	// timeout is the service's default deadline, 20 seconds if zero.
	timeout time.Duration

	// credential is the authorization header, the sandbox's API key if empty, none if "none".
	credential string

	// The request over REST: POST, the path of GrantAccess and application/json where empty.
	method, path, contentType, body string
	// The request over gRPC: a message, or raw bytes for what no message can be, to GrantAccess where rpc is empty.
	message *clientsessionv1.GrantAccessRequest
	raw     []byte
	rpc     string

	// The outcome on both faces.
	code      codes.Code
	status    int
	errorType string
	text      string
	// fields are the violations in the notation of gRPC; tree are the same as they stand in validation_errors.
	fields []string
	// retryAfter is what RetryInfo and Retry-After say, in seconds.
	retryAfter int
	// local is true for a type that is the service's own and not Seam's.
	local bool
	// noEnvelope is true when Seam sent none: over REST the body is empty then, as Seam's was.
	noEnvelope bool
	// overGRPC is the response over gRPC where the same mistake is another one there.
	overGRPC *refusal
	// grpcMessage is the message over gRPC where the fault in the encoding is another one there.
	grpcMessage string
	// reached is how many requests reach Seam: three for one that is retried without success.
	reached int
	// unknown is true when Seam may have made the grant.
	unknown bool
}

const (
	grantPath = "/client_sessions/grant_access"
	byID      = `{"client_session_id":"` + sandbox.SessionID + `","connected_account_ids":["` + sandbox.ConnectedAccountID + `"]}`
)

// refusal is how the service says no.
type refusal struct {
	errorType string
	status    int
	text      string
	local     bool
}

var (
	noMessage = &refusal{"invalid_input", 400, "Request message could not be decoded", false}
	noMethod  = &refusal{"method_not_found", 501, "There is no such method", true}
)

func grantByID() *clientsessionv1.GrantAccessRequest {
	id := sandbox.SessionID
	return &clientsessionv1.GrantAccessRequest{
		ClientSessionId:     &id,
		ConnectedAccountIds: []string{sandbox.ConnectedAccountID},
	}
}

// failures are the cases in which nothing is granted.
func failures() []failureCase {
	long := strings.Repeat("a", 128<<10)
	unknownField := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "seam_secretvalue99")
	return []failureCase{
		{
			name: "control characters",
			body: `{"user_identifier_key":"jane_doe","connected_account_ids":["x","y\u0000"]}`,
			message: &clientsessionv1.GrantAccessRequest{
				UserIdentifierKey: new("jane_doe"), ConnectedAccountIds: []string{"x", "y\x00"},
			},
			code: codes.InvalidArgument, status: 400, errorType: "invalid_input",
			text:   `Must not contain control characters for "connected_account_ids.1"`,
			fields: []string{"connected_account_ids[1]"},
		},
		{
			name: "unknown member", body: `{"client_session_idd":"seam_secretvalue01"}`, raw: unknownField,
			code: codes.InvalidArgument, status: 400, errorType: "invalid_input",
			text: "Unrecognized key(s) in object: 'client_session_idd'", fields: []string{""},
			grpcMessage: "Unrecognized field(s) in message",
		},
		{
			name: "malformed JSON", body: `{"client_session_id":"seam_secretvalue02`, raw: []byte{0xff, 0xff},
			code: codes.InvalidArgument, status: 400, errorType: "invalid_input", text: "Invalid JSON", overGRPC: noMessage,
		},
		{
			name: "body over the limit", body: `{"user_identifier_key":"` + long + `"}`,
			message: &clientsessionv1.GrantAccessRequest{UserIdentifierKey: &long},
			code:    codes.ResourceExhausted, status: 413, errorType: "payload_too_large",
			text: "Request body is larger than 128 KiB", local: true,
		},
		{
			name: "wrong method", method: http.MethodPut, body: byID,
			rpc: "/seam.clientsession.v1.ClientSessionService/seam_secret", message: grantByID(),
			code: codes.Unimplemented, status: 405, errorType: "method_not_allowed",
			text: "only PATCH,POST accepted", overGRPC: noMethod,
		},
		{
			name: "unknown path", path: "/client_sessions/grant_acces", body: byID,
			rpc: "/seam_secret/GrantAccess", message: grantByID(),
			code: codes.Unimplemented, status: 404, errorType: "not_found", text: "Not found", overGRPC: noMethod,
		},
		{
			name: "no credential and an invalid request", credential: "none", body: `{"x":`, raw: []byte{0xff},
			code: codes.Unauthenticated, status: 401, errorType: "unauthorized", text: "No authentication methods succeeded",
		},
		{
			name: "unknown API key", credential: "Bearer seam_secretunknownkey", body: byID, message: grantByID(),
			code: codes.Unauthenticated, status: 401, errorType: "unauthorized", text: "API Key not found", reached: 1,
		},
		{
			name: "rate limited", fault: sandbox.Fault{RateLimit: true, RetryAfter: 7}, body: byID, message: grantByID(),
			code: codes.ResourceExhausted, status: 429, errorType: "too_many_requests",
			text: "Too many requests", retryAfter: 7, reached: 1,
		},
		{
			name: "Seam down", seamDown: true, body: byID, message: grantByID(),
			code: codes.Unavailable, status: 503, errorType: "upstream_unreachable",
			text: "Seam could not be reached", local: true,
		},
		{
			name: "connection reset", fault: sandbox.Fault{Disconnect: sandbox.DisconnectReset}, body: byID, message: grantByID(),
			code: codes.Unavailable, status: 503, errorType: "upstream_unreachable",
			text: "Seam could not be reached, and the outcome is unknown", local: true, reached: 3, unknown: true,
		},
		{
			name: "Seam slow past the deadline", fault: sandbox.Fault{Delay: time.Minute}, timeout: time.Second,
			body: byID, message: grantByID(),
			code: codes.DeadlineExceeded, status: 504, errorType: "upstream_timeout",
			text: "Seam did not respond in time, and the outcome is unknown", local: true, reached: 1, unknown: true,
		},
		{
			name:  "Seam responds with HTML",
			fault: sandbox.Fault{Status: 502, Body: "<html>seam_secretvalue04</html>", ContentType: "text/html"},
			body:  byID, message: grantByID(),
			code: codes.Unavailable, status: 502,
			text: "Seam responded with HTTP status 502 without an error of its own", noEnvelope: true, reached: 3, unknown: true,
		},
		{
			name:  "Seam responds with HTML as if all were well",
			fault: sandbox.Fault{Status: 200, Body: "<html>seam_secretvalue05</html>", ContentType: "text/html"},
			body:  byID, message: grantByID(),
			code: codes.Internal, status: 502, errorType: "upstream_response_invalid",
			text: "Seam's response could not be understood, and the outcome is unknown", local: true, reached: 3, unknown: true,
		},
		{
			name:  "response over the limit",
			fault: sandbox.Fault{Status: 200, Body: `{"ok":true}` + strings.Repeat(" ", 1<<20)},
			body:  byID, message: grantByID(),
			code: codes.Internal, status: 502, errorType: "upstream_response_invalid",
			text: "Seam's response could not be understood, and the outcome is unknown", local: true, reached: 1, unknown: true,
		},
		{
			name: "redirect", fault: sandbox.Fault{Status: 307, Header: map[string]string{"location": "http://127.0.0.1:1/"}},
			body: byID, message: grantByID(),
			code: codes.Internal, status: 502, errorType: "upstream_response_invalid",
			text: "Seam's response could not be understood", local: true, reached: 1,
		},
	}
}
