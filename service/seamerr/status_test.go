package seamerr_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// detail returns the details of one type.
func detail[T proto.Message](st *status.Status) []T {
	var found []T
	for _, d := range st.Details() {
		if d, ok := d.(T); ok {
			found = append(found, d)
		}
	}
	return found
}

func TestDetails(t *testing.T) {
	wait := 1500 * time.Millisecond
	e := &seamerr.Error{
		HTTPStatus: 400, Type: "invalid_input", Message: "m", SeamRequestID: "r-1", RetryAfter: &wait,
		Data: map[string]any{"n": json.Number("1.0"), "s": "x", "l": []any{true, nil}},
		Violations: []seamerr.FieldViolation{
			{Path: []string{"connected_account_ids", "1"}, Message: "Invalid uuid"},
			{Path: []string{"a", "0", "b"}, Message: "Required"},
			{Path: []string{"7"}, Message: "A member may be called like an index"},
			{Message: "At least one parameter must be provided"},
		},
		Cause: errors.New("cause"),
	}
	st := e.GRPCStatus()
	want := []proto.Message{
		&errdetails.ErrorInfo{
			Reason: "INVALID_INPUT", Domain: "connect.getseam.com",
			Metadata: map[string]string{"http_status": "400", "type": "invalid_input"},
		},
		&errdetails.RequestInfo{RequestId: "r-1"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "connected_account_ids[1]", Description: "Invalid uuid"},
			{Field: "a[0].b", Description: "Required"},
			{Field: "7", Description: "A member may be called like an index"},
			{Field: "", Description: "At least one parameter must be provided"},
		}},
		&errdetails.RetryInfo{},
		&structpb.Struct{},
	}
	got := st.Details()
	if len(got) != len(want) {
		t.Fatalf("%d details, want %d: %v", len(got), len(want), got)
	}
	for i := range want[:3] {
		if !proto.Equal(got[i].(proto.Message), want[i]) {
			t.Errorf("detail is %v, want %v", got[i], want[i])
		}
	}
	if delay := got[3].(*errdetails.RetryInfo).GetRetryDelay().AsDuration(); delay != wait {
		t.Errorf("retry delay is %s", delay)
	}
	if data := got[4].(*structpb.Struct).AsMap(); !reflect.DeepEqual(data, map[string]any{"n": 1.0, "s": "x", "l": []any{true, nil}}) {
		t.Errorf("data is %v", data)
	}
	// Seam documents data as an object. Data of any other type reaches the caller too.
	for _, data := range []any{"x", true, 1.5, []any{"a", nil}} {
		values := detail[*structpb.Value]((&seamerr.Error{HTTPStatus: 400, Type: "t", Data: data}).GRPCStatus())
		if len(values) != 1 || !reflect.DeepEqual(values[0].AsInterface(), data) {
			t.Errorf("data %v became %v", data, values)
		}
	}
}

// An absent member must not become an empty detail: clients check whether a detail exists, not its content.
func TestAbsentDetailsAreLeftOut(t *testing.T) {
	for name, e := range map[string]*seamerr.Error{
		"bare":                          {HTTPStatus: 500},
		"empty ones":                    {HTTPStatus: 500, Data: map[string]any{}, ValidationErrors: map[string]any{}, Violations: []seamerr.FieldViolation{}},
		"data that protobuf cannot say": {HTTPStatus: 500, Data: map[string]any{"c": make(chan int)}},
		"data over the limit":           {HTTPStatus: 500, Data: map[string]any{"x": strings.Repeat("x", 1100)}},
	} {
		t.Run(name, func(t *testing.T) {
			st := e.GRPCStatus()
			if len(st.Details()) != 1 || len(detail[*errdetails.ErrorInfo](st)) != 1 {
				t.Errorf("details are %v, want an ErrorInfo alone", st.Details())
			}
		})
	}
	// A wait of zero is present, though: it means to retry at once.
	st := (&seamerr.Error{HTTPStatus: 503, RetryAfter: new(time.Duration)}).GRPCStatus()
	if len(detail[*errdetails.RetryInfo](st)) != 1 {
		t.Errorf("details are %v, want a RetryInfo", st.Details())
	}
}

// Seam's validation_errors become the same violations as the service's own.
func TestViolationsOfSeam(t *testing.T) {
	e := seamerr.FromResponse(400, "application/json", []byte(`{"error":{"type":"invalid_input","message":"m","validation_errors":{
		"_errors":["top",5],
		"b":{"_errors":["b1","b2"]},
		"a":{"_errors":[],"1":{"_errors":["a1"],"c":{"_errors":["a1c"]}},"2":"no object"},
		"z":[{"_errors":["in a list"]}],
		"y":{"_errors":"no list"}}}}`))
	var got [][2]string
	for _, bad := range detail[*errdetails.BadRequest](e.GRPCStatus()) {
		for _, v := range bad.GetFieldViolations() {
			got = append(got, [2]string{v.GetField(), v.GetDescription()})
		}
	}
	want := [][2]string{{"", "top"}, {"a[1]", "a1"}, {"a[1].c", "a1c"}, {"b", "b1"}, {"b", "b2"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("violations are %q, want %q", got, want)
	}
}

// maxHeaderList is the maximum of clients in other languages for the headers of one response, without the headers of
// Seam that are passed on, and without the ids of the call, the names of the headers and the short ones.
const maxHeaderList = 8<<10 - 1<<10 - 660

// headerBytes is the size of a status in headers: the details base64-encoded in one, the message percent-encoded in
// another.
func headerBytes(t *testing.T, st *status.Status) int {
	t.Helper()
	binary, err := proto.Marshal(st.Proto())
	if err != nil {
		t.Fatalf("the status cannot be sent: %v", err)
	}
	return base64.RawStdEncoding.EncodedLen(len(binary)) + len(url.PathEscape(st.Message()))
}

// The largest error must still be accepted by clients. Truncation must not split a character: protobuf refuses such
// text, and the whole status with it.
func TestStatusFitsInHeaders(t *testing.T) {
	long := func(unit string) string { return strings.Repeat(unit, 20_000/len(unit)) }
	violations := slices.Repeat([]seamerr.FieldViolation{{Path: []string{long("p"), "1", long("é")}, Message: long("m")}}, 100)
	wait := 365*24*time.Hour - 1
	errs := map[string]*seamerr.Error{
		"request id":                {HTTPStatus: 500, Type: "t", SeamRequestID: long("r")},
		"violations":                {HTTPStatus: 400, Type: "invalid_input", Violations: violations},
		"data":                      {HTTPStatus: 400, Type: "t", Data: map[string]any{"x": long("d")}},
		"largest data that is sent": {HTTPStatus: 400, Type: "t", Data: map[string]any{"x": strings.Repeat("d", 480)}},
		"everything": {
			HTTPStatus: 400, Type: long("t"), Message: long("x"), SeamRequestID: strings.Repeat("r", 128), Violations: violations,
			RetryAfter: &wait, Data: map[string]any{"x": strings.Repeat("d", 480)}, OutcomeUnknown: true, NoRetry: true,
		},
	}
	wide := *errs["everything"]
	wide.Message, wide.OutcomeUnknown = long("\u20ac"), true // gRPC writes each of its bytes as three.
	errs["everything, with a message that is not ASCII"] = &wide
	for shift := range 4 {
		text := strings.Repeat("x", shift) + long("😀")
		errs[fmt.Sprintf("characters of four bytes behind %d", shift)] = &seamerr.Error{
			HTTPStatus: 400, Type: text, Message: text,
			Violations: []seamerr.FieldViolation{{Path: []string{text}, Message: text}},
		}
	}
	for name, e := range errs {
		t.Run(name, func(t *testing.T) {
			st := e.GRPCStatus()
			if size := headerBytes(t, st); size >= maxHeaderList {
				t.Errorf("the status is %d bytes in its headers, and clients take %d", size, maxHeaderList)
			}
			if e.Message != "" && len(st.Message()) < 500 {
				t.Errorf("message is cut to %d bytes", len(st.Message()))
			}
			if len(detail[*errdetails.ErrorInfo](st)) != 1 || (e.Violations != nil) != (len(detail[*errdetails.BadRequest](st)) == 1) {
				t.Errorf("the bounds left %v", st.Details())
			}
		})
	}
}
