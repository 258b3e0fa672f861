package seamerr

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/clientsession/client-session-service/service/text"
)

// The domains of google.rpc.ErrorInfo: who the reason is defined by.
const (
	DomainSeam    = "connect.getseam.com"
	DomainService = "client-session-service"
)

// Details travel in one header, and clients in other languages refuse a response whose headers are over 8 KiB.
// These limits keep the largest status under that, together with the headers of Seam that are passed on; the REST face
// has no such limit and cuts nothing.
const (
	maxMessageBytes     = 512
	maxViolations       = 12
	maxViolationsBytes  = 1728
	maxFieldBytes       = 64
	maxDescriptionBytes = 128
	maxDataBytes        = 512
)

// outcomeUnknown is what the details say of a request that may have been applied or not.
const outcomeUnknown = "unknown"

// maxDepth bounds how deep into validation_errors violations are looked for: Seam's requests nest two levels.
const maxDepth = 16

// GRPCStatus returns the error as a gRPC status with its facts as details. grpc-go calls it by this name.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(e.GRPCCode(), text.Cut(e.Message, maxMessageBytes))
	withDetails, err := st.WithDetails(e.details()...)
	if err != nil {
		return st // Only a status that is OK or a detail that cannot be marshalled; both leave the bare status.
	}
	return withDetails
}

func (e *Error) details() []protoadapt.MessageV1 {
	info := &errdetails.ErrorInfo{
		Reason: e.reason(),
		Domain: cmp.Or(e.Domain, DomainSeam),
		Metadata: map[string]string{
			"http_status": strconv.Itoa(e.HTTPStatus), "type": text.Cut(e.TypeName(), maxFieldBytes),
		},
	}
	if e.OutcomeUnknown {
		info.Metadata["outcome"] = outcomeUnknown
	}
	if e.CallID != "" {
		info.Metadata["x-request-id"] = text.Cut(e.CallID, text.MaxRequestIDBytes)
	}
	details := []protoadapt.MessageV1{info}
	if e.SeamRequestID != "" {
		details = append(details, &errdetails.RequestInfo{RequestId: text.Cut(e.SeamRequestID, text.MaxRequestIDBytes)})
	}
	if violations := e.violations(); len(violations) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: violations})
	}
	if e.RetryAfter != nil {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(*e.RetryAfter)})
	}
	if data := e.data(); data != nil {
		details = append(details, data)
	}
	return details
}

// data is Seam's `data` as a detail, nil when there is none or it is too large.
func (e *Error) data() protoadapt.MessageV1 {
	if e.Data == nil {
		return nil
	}
	value, err := structpb.NewValue(plain(e.Data))
	if err != nil || proto.Size(value) > maxDataBytes {
		return nil
	}
	if object := value.GetStructValue(); object != nil {
		if len(object.GetFields()) == 0 {
			return nil
		}
		return object
	}
	return value
}

// plain returns a JSON value with its numbers as doubles, which is what a detail can say.
func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		number, _ := value.Float64()
		return number
	case map[string]any:
		object := make(map[string]any, len(value))
		for name, member := range value {
			object[name] = plain(member)
		}
		return object
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = plain(element)
		}
		return list
	default:
		return value
	}
}

// TypeName is Seam's type, or the name of the HTTP status of a response without one, such as service_unavailable.
func (e *Error) TypeName() string {
	// Proxies have statuses of their own, without a name.
	return cmp.Or(e.Type, snake(http.StatusText(e.HTTPStatus)), "http_status_"+strconv.Itoa(e.HTTPStatus))
}

// reason is the type in the form that ErrorInfo asks for.
func (e *Error) reason() string {
	return text.Cut(strings.Map(func(r rune) rune {
		if r == '_' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(e.TypeName())), 63)
}

func (e *Error) violations() []*errdetails.BadRequest_FieldViolation {
	found := e.Violations
	if found == nil {
		found = violationsOf(e.ValidationErrors)
	}
	var violations []*errdetails.BadRequest_FieldViolation
	left := maxViolationsBytes
	for _, found := range found[:min(len(found), maxViolations)] {
		violation := &errdetails.BadRequest_FieldViolation{
			Field:       text.Cut(found.field(), maxFieldBytes),
			Description: text.Cut(found.Message, maxDescriptionBytes),
		}
		if left -= len(violation.GetField()) + len(violation.GetDescription()); left < 0 {
			break
		}
		violations = append(violations, violation)
	}
	return violations
}

// snake turns a name such as "Bad Gateway" or "NotFound" into bad_gateway, not_found.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == ' ' || r == '-' || r == '\'':
			b.WriteByte('_')
		case r >= 'A' && r <= 'Z':
			if i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
