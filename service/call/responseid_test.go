package call

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestCallID shows which ids of callers are taken. Any other call gets a new UUID.
func TestCallID(t *testing.T) {
	ids := map[string]bool{}
	for name, test := range map[string]struct {
		sent  []string
		taken bool
	}{
		"printable": {[]string{`!"#$%&'()*+,-./:;<=>?@[\]^_{|}~`}, true},
		"longest":   {[]string{strings.Repeat("x", 128)}, true},
		"too long":  {[]string{strings.Repeat("x", 129)}, false},
		"none":      {nil, false},
		"empty":     {[]string{""}, false},
		"two":       {[]string{"a", "a"}, false},
		"a space":   {[]string{"a b"}, false},
		"a line":    {[]string{"a\nb"}, false},
		"a delete":  {[]string{"a\x7f"}, false},
		"not ASCII": {[]string{"é"}, false},
		"not UTF-8": {[]string{"\xff"}, false},
	} {
		c := Call{Metadata: metadata.MD{HeaderCallID: test.sent}}
		c.setID()
		if id, err := uuid.Parse(c.CallID); !test.taken && (err != nil || id.Version() != 4 || id.Variant() != uuid.RFC4122) {
			t.Errorf("%s: the id is %q, want a new UUID", name, c.CallID)
		}
		if test.taken && c.CallID != test.sent[0] || ids[c.CallID] {
			t.Errorf("%s: the id is %q", name, c.CallID)
		}
		ids[c.CallID] = true
	}
	c := Call{CallID: "of the face", Metadata: metadata.Pairs(HeaderCallID, "other")}
	if c.setID(); c.CallID != "of the face" {
		t.Errorf("id is %q, want that which the face has set", c.CallID)
	}
}

// TestResponseID shows the ids of a response and of its error. The id of a call with a response from Seam is Seam's own,
// for its support.
func TestResponseID(t *testing.T) {
	for name, test := range map[string]struct {
		seam, inError    string
		want, wantHeader string
	}{
		"no response of Seam": {want: "call-1", wantHeader: "call-1"},
		"a response of Seam":  {seam: "seam-1", want: "seam-1", wantHeader: "seam-1"},
		"an error of Seam":    {seam: "seam-1", inError: "in-the-body", want: "in-the-body", wantHeader: "seam-1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Call{CallID: "call-1", SeamRequestID: test.seam}
			failure := seamerr.NotFound()
			failure.SeamRequestID = test.inError
			named := c.withIDs(failure)
			if named.SeamRequestID != test.want || named.CallID != "call-1" || named.Type != failure.Type {
				t.Errorf("error is %+v", named)
			}
			if failure.SeamRequestID != test.inError || failure.CallID != "" {
				t.Error("the handler's error was written to; it may be shared")
			}
			md := c.ResponseMetadata(named)
			for _, header := range []string{headerSeamRequestID, HeaderCallID} {
				md.Append(header, "appended") // It replaces nothing.
			}
			want := metadata.MD{headerSeamRequestID: {test.wantHeader, "appended"}, HeaderCallID: {"call-1", "appended"}}
			if !reflect.DeepEqual(md, want) {
				t.Errorf("metadata is %q, want %q", map[string][]string(md), map[string][]string(want))
			}
		})
	}
	if err := (&Call{}).withIDs(nil); err != nil {
		t.Errorf("a success has the error %v", err)
	}
}

// TestPushback shows when the retry policy of a gRPC client may retry a call.
func TestPushback(t *testing.T) {
	for name, test := range map[string]struct {
		failure *seamerr.Error
		want    string
	}{
		"connection": {seamerr.Unreachable(nil), "[]"}, // The policy decides.
		"no retry":   {&seamerr.Error{HTTPStatus: 503, NoRetry: true, RetryAfter: new(time.Second)}, "[-1]"},
		"later":      {&seamerr.Error{HTTPStatus: 503, RetryAfter: new(1500 * time.Millisecond)}, "[1500]"},
		"at once":    {&seamerr.Error{HTTPStatus: 503, RetryAfter: new(time.Duration(0))}, "[1]"},
		"rate limit": {&seamerr.Error{HTTPStatus: 429, RetryAfter: new(3 * time.Second)}, "[-1]"},
		"overload":   {seamerr.Overloaded(time.Second), "[-1]"},
	} {
		if got := fmt.Sprint((&Call{}).ResponseMetadata(test.failure)[trailerPushback]); got != test.want {
			t.Errorf("%s: pushback is %s, want %s", name, got, test.want)
		}
	}
	if md := (&Call{}).ResponseMetadata(nil); len(md) != 2 {
		t.Errorf("a success has %d headers, want the two ids", len(md))
	}
}
