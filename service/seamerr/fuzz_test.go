package seamerr_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// FuzzFromResponse: whatever the body of an error, the caller gets a response on both faces that its libraries can
// read.
func FuzzFromResponse(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `null`, `<html>`, `{"error":{"type":"t","message":"m","request_id":"r","data":{"a":[1]}},"ok":false}`,
		`{"error":{"type":"invalid_input","validation_errors":{"_errors":["x"],"a":{"0":{"_errors":["y",1,null]}}}}}`,
		"{\"error\":{\"type\":\"\xff\",\"message\":\"\xff\"}}", `{"error":{"type":"\ud83d","message":"\u0000"}}`,
		`{"error":{"type":"t","data":{"n":1e308,"d":{"d":{"d":{"d":{}}}}}}}`, `{"error":{"type":"😀","data":[]}}`,
		`{"error":{"type":"ß","message":"ı"}}`, `{"error":{"type":"t","data":{"\ud83d":"\udc00"}}}`,
	} {
		f.Add(400, []byte(text))
		f.Add(599, []byte(text))
	}
	f.Fuzz(func(t *testing.T, httpStatus int, text []byte) {
		e := seamerr.FromResponse(httpStatus, "application/json", text)
		st := e.GRPCStatus()
		if !utf8.ValidString(st.Message()) {
			t.Errorf("message %q is not UTF-8", st.Message())
		}
		if size := headerBytes(t, st); size >= maxHeaderList {
			t.Errorf("the status is %d bytes in its headers", size)
		}
		if len(detail[*errdetails.ErrorInfo](st)) != 1 {
			t.Errorf("details are %v", st.Details())
		}
		body, err := e.Envelope()
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "" {
			if body != nil {
				t.Errorf("an envelope was made up: %s", body)
			}
			return
		}
		var read struct {
			Error struct{ Type, Message string }
			OK    *bool
		}
		if err := json.Unmarshal(body, &read); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if read.Error.Type != e.Type || read.Error.Message != e.Message || read.OK == nil || *read.OK {
			t.Errorf("error %q, %q is written as %s", e.Type, e.Message, body)
		}
	})
}
