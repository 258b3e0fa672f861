package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

const requestIDHeader = "seam-request-id"

// play makes the call of the scenario and returns what is not as expected.
func (s scenario) play(conn *grpc.ClientConn, box sandbox) []string {
	if len(s.Fault) > 0 {
		if err := box.post("faults", s.Fault); err != nil {
			return []string{err.Error()}
		}
	}
	deadline := limit
	if s.DeadlineMS > 0 {
		deadline = time.Duration(s.DeadlineMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	switch s.RPC {
	case "GrantAccess":
		return s.grant(ctx, conn)
	case "Health":
		return s.health(ctx, conn)
	case "Reflection":
		return s.reflection(ctx, conn)
	default:
		return []string{"this runner cannot call " + s.RPC}
	}
}

func (s scenario) grant(ctx context.Context, conn *grpc.ClientConn) []string {
	request := &clientsessionv1.GrantAccessRequest{}
	if err := protojson.Unmarshal(s.Request, request); err != nil {
		return []string{"the request of the scenario: " + err.Error()}
	}
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(s.Metadata))
	var header, trailer metadata.MD
	response, err := clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(
		ctx, request, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return s.failure(err, metadata.Join(header, trailer))
	}
	problems := differences("code", s.Expect.Code, codes.OK)
	problems = append(problems, differences("ok", true, response.GetOk())...)
	if len(header.Get(requestIDHeader)) != 1 {
		problems = append(problems, "the metadata seam-request-id is missing")
	}
	session := response.GetClientSession().ProtoReflect()
	for _, name := range slices.Sorted(maps.Keys(s.Expect.Session)) {
		field := session.Descriptor().Fields().ByName(protoreflect.Name(name))
		if field == nil {
			problems = append(problems, "a session has no field "+name)
			continue
		}
		problems = append(problems, differences("session."+name, s.Expect.Session[name], valueOf(session, field))...)
	}
	return problems
}

// valueOf is the value of a field as JSON would have it, and nil for one that is unset and can be.
func valueOf(message protoreflect.Message, field protoreflect.FieldDescriptor) any {
	if field.HasPresence() && !message.Has(field) {
		return nil
	}
	value := message.Get(field)
	switch {
	case field.IsList():
		list := []any{}
		for i := range value.List().Len() {
			list = append(list, value.List().Get(i).Interface())
		}
		return list
	case field.Kind() == protoreflect.Int32Kind:
		return float64(value.Int())
	default:
		return value.Interface()
	}
}

func (s scenario) failure(err error, md metadata.MD) []string {
	failure, _ := clientsession.FromError(err)
	problems := differences("code", s.Expect.Code, failure.Code)
	if len(problems) > 0 {
		return append(problems, failure.Error())
	}
	if failure.Code == codes.DeadlineExceeded {
		return nil
	}
	fields := []string{}
	for _, violation := range failure.Violations {
		fields = append(fields, violation.Field)
	}
	var retryDelay *float64
	if failure.RetryDelay != nil {
		seconds := failure.RetryDelay.Seconds()
		retryDelay = &seconds
	}
	problems = append(problems, differences("reason", s.Expect.Reason, failure.Reason)...)
	problems = append(problems, differences("domain", s.Expect.Domain, failure.Domain)...)
	problems = append(problems, differences("type", s.Expect.Type, failure.Type)...)
	problems = append(problems, differences("http_status", s.Expect.HTTPStatus, strconv.Itoa(failure.HTTPStatus))...)
	problems = append(problems, differences("fields", s.Expect.Fields, fields)...)
	problems = append(problems, differences("retry_delay_seconds", s.Expect.RetryDelaySeconds, retryDelay)...)
	if failure.RequestID == "" {
		problems = append(problems, "there is no request id")
	}
	problems = append(problems, differences("call_id", md.Get("x-request-id"), []string{failure.CallID})...)
	return append(problems, differences("request_id", md.Get(requestIDHeader), []string{failure.RequestID})...)
}

func (s scenario) health(ctx context.Context, conn *grpc.ClientConn) []string {
	problems := differences("code", s.Expect.Code, codes.OK)
	for _, service := range []string{"", clientsessionv1.ClientSessionService_ServiceDesc.ServiceName} {
		response, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			return []string{err.Error()}
		}
		what := fmt.Sprintf("health of %q", service)
		problems = append(problems, differences(what, s.Expect.Status, response.GetStatus().String())...)
	}
	return problems
}

func (s scenario) reflection(ctx context.Context, conn *grpc.ClientConn) []string {
	problems := differences("code", s.Expect.Code, codes.OK)
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	// What Send returns is only that the stream has ended; Recv tells why.
	_ = stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	response, err := stream.Recv()
	if err != nil {
		return []string{err.Error()}
	}
	var listed []string
	for _, service := range response.GetListServicesResponse().GetService() {
		listed = append(listed, service.GetName())
	}
	for _, service := range s.Expect.Services {
		if !slices.Contains(listed, service) {
			problems = append(problems, fmt.Sprintf("reflection does not list %s, only %q", service, listed))
		}
	}
	return problems
}

func differences(what string, expected, got any) []string {
	if reflect.DeepEqual(expected, got) {
		return nil
	}
	return []string{fmt.Sprintf("%s: expected %s, got %s", what, shown(expected), shown(got))}
}

// shown follows a pointer, whose address tells a reader nothing.
func shown(value any) string {
	if number, ok := value.(*float64); ok {
		if number == nil {
			return "none"
		}
		return fmt.Sprint(*number)
	}
	return fmt.Sprintf("%#v", value)
}
