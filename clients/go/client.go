// Package client connects to the client session service and reads what it says when it refuses a call. It is an example
// to start from: copy it and change it.
package client

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// A grant that is retried changes nothing, so it may be retried when Seam could not be reached. That does not hold
// for every call: a Create without user_identifier_key makes a session each time. So the policy names its method.
// Only UNAVAILABLE is retried: a rate limit has its own RetryInfo, and other responses would stay the same.
const serviceConfig = `{
	"methodConfig": [{
		"name": [{"service": "seam.clientsession.v1.ClientSessionService", "method": "GrantAccess"}],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.1s",
			"maxBackoff": "1s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// Connect opens a connection: one for the whole program, since it is safe to share and finds its way back by itself.
func Connect(address string, useTLS bool) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if useTLS {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(transport), grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

// Failure is what an error says: its code and message, and the details that the service sends along.
type Failure struct {
	Code      string
	Message   string
	Reason    string
	Domain    string
	Metadata  map[string]string
	Fields    []*errdetails.BadRequest_FieldViolation
	RetryIn   *time.Duration
	RequestID string
}

// FailureOf reads the error of a call. There are no details when the response is not the service's: the deadline
// has passed, or the connection failed.
func FailureOf(err error) Failure {
	st := status.Convert(err)
	failure := Failure{Code: code.Code(st.Proto().GetCode()).String(), Message: st.Message()}
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason, failure.Domain, failure.Metadata = detail.GetReason(), detail.GetDomain(), detail.GetMetadata()
		case *errdetails.BadRequest:
			failure.Fields = detail.GetFieldViolations()
		case *errdetails.RetryInfo:
			delay := detail.GetRetryDelay().AsDuration()
			failure.RetryIn = &delay
		case *errdetails.RequestInfo:
			failure.RequestID = detail.GetRequestId()
		}
	}
	return failure
}

// String is for people.
func (f Failure) String() string {
	lines := []string{f.Code + ": " + f.Message}
	if f.Reason != "" {
		lines = append(lines, "  reason: "+f.Reason+" of "+f.Domain)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Metadata)) {
		lines = append(lines, "  "+name+": "+f.Metadata[name])
	}
	for _, violation := range f.Fields {
		name := violation.GetField()
		if name == "" {
			name = "(the request)"
		}
		lines = append(lines, "  field "+name+": "+violation.GetDescription())
	}
	if f.RetryIn != nil {
		lines = append(lines, "  retry in "+f.RetryIn.String())
	}
	if f.RequestID != "" {
		lines = append(lines, "  Seam's request id, for its support: "+f.RequestID)
	}
	return strings.Join(lines, "\n")
}
