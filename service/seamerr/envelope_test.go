package seamerr_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clientsession/service/service/seamerr"
)

// same fails unless two JSON texts say the same.
func same(t *testing.T, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("envelope is %s\nwant        %s", got, want)
	}
}

// What Seam says must reach the caller over REST as it was said: its SDKs read these members.
func TestEnvelopeRoundTrip(t *testing.T) {
	for name, text := range map[string]string{
		"plain":             `{"error":{"type":"client_session_not_found","message":"m","request_id":"r"},"ok":false}`,
		"no request id":     `{"error":{"type":"t","message":"m"},"ok":false}`,
		"empty message":     `{"error":{"type":"t","message":""},"ok":false}`,
		"empty data":        `{"error":{"type":"t","message":"m","data":{}},"ok":false}`,
		"data":              `{"error":{"type":"t","message":"m","data":{"a":[1,null,{"b":"<&>"}]}},"ok":false}`,
		"empty validation":  `{"error":{"type":"t","message":"m","validation_errors":{}},"ok":false}`,
		"nested validation": `{"error":{"type":"t","message":"m","validation_errors":{"_errors":[],"a":{"_errors":["x"],"0":{"_errors":["y"],"b":{"_errors":[]}}}}},"ok":false}`,
		"odd validation":    `{"error":{"type":"t","message":"m","validation_errors":{"a":5,"b":[1],"_errors":"x"}},"ok":false}`,
		"text of all kinds": `{"error":{"type":"t","message":"\u0000\u2028é😀\"\\<script>"},"ok":false}`,
		"type not as usual": `{"error":{"type":"Some Type!","message":"m"},"ok":false}`,
	} {
		t.Run(name, func(t *testing.T) {
			body, err := seamerr.FromEnvelope(400, []byte(text)).Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, body, text)
		})
	}
}

// An envelope that is not quite Seam's gives as much as can be had of it.
func TestFromEnvelope(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"unknown members":      {`{"error":{"type":"t","message":"m","new":1},"new":2,"ok":false}`, `{"error":{"type":"t","message":"m"},"ok":false}`},
		"no message":           {`{"error":{"type":"t"}}`, `{"error":{"type":"t","message":""},"ok":false}`},
		"nulls":                {`{"error":{"type":"t","message":null,"request_id":null,"data":null,"validation_errors":null},"ok":null}`, `{"error":{"type":"t","message":""},"ok":false}`},
		"data is a list":       {`{"error":{"type":"t","message":"m","data":[1]}}`, `{"error":{"type":"t","message":"m"},"ok":false}`},
		"data is a text":       {`{"error":{"type":"t","message":"m","data":"x"}}`, `{"error":{"type":"t","message":"m"},"ok":false}`},
		"validation is a list": {`{"error":{"type":"t","message":"m","validation_errors":["x"]}}`, `{"error":{"type":"t","message":"m"},"ok":false}`},
		"ok is true":           {`{"error":{"type":"t","message":"m"},"ok":true}`, `{"error":{"type":"t","message":"m"},"ok":false}`},
		"text not UTF-8":       {"{\"error\":{\"type\":\"t\",\"message\":\"a\xffb\"}}", `{"error":{"type":"t","message":"a\ufffdb"},"ok":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.FromEnvelope(418, []byte(test.body))
			if e.HTTPStatus != 418 || e.Local || e.Cause != nil {
				t.Errorf("error is %+v", e)
			}
			body, err := e.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, body, test.want)
		})
	}
}

// A body that is no envelope of Seam gives an error without a type and without one word of the body, which may be the
// page of a proxy with anything in it. SDKs tell such an answer by its missing envelope, so none may be made up.
func TestFromEnvelopeOfStrangers(t *testing.T) {
	const secret = "echoed-secret"
	for name, body := range map[string]string{
		"empty":            ``,
		"HTML":             `<html><h1>502 Bad Gateway</h1>echoed-secret</html>`,
		"text":             `echoed-secret`,
		"JSON of others":   `{"message":"echoed-secret","code":5}`,
		"empty object":     `{}`,
		"null":             `null`,
		"a list":           `[{"error":{"type":"t"}}]`,
		"error is a text":  `{"error":"echoed-secret"}`,
		"error is null":    `{"error":null,"ok":false}`,
		"no type":          `{"error":{"message":"echoed-secret"}}`,
		"empty type":       `{"error":{"type":"","message":"echoed-secret"}}`,
		"type is a number": `{"error":{"type":5,"message":"echoed-secret"}}`,
		"broken off":       `{"error":{"type":"t","message":"echoed-secret"`,
		"two envelopes":    `{"error":{"type":"t","message":"echoed-secret"}}{"error":{"type":"t"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.FromEnvelope(502, []byte(body))
			if want := "Seam answered with HTTP status 502 and no error of its own"; e.Type != "" || e.Message != want || e.HTTPStatus != 502 {
				t.Errorf("error is %+v", e)
			}
			if text := fmt.Sprintf("%+v %s", e, e.GRPCStatus()); strings.Contains(text, secret) {
				t.Errorf("the body is quoted: %s", text)
			}
			if made, err := e.Envelope(); made != nil || err != nil {
				t.Errorf("envelope is %s, error %v; want none", made, err)
			}
		})
	}
}

func TestInvalidInput(t *testing.T) {
	at := func(message string, path ...string) seamerr.Problem {
		return seamerr.Problem{Path: path, Message: message}
	}
	for name, test := range map[string]struct {
		problems []seamerr.Problem
		want     string
	}{
		"one": {
			[]seamerr.Problem{at("Expected string, received null", "a")},
			`{"message":"Expected string, received null for \"a\"","validation_errors":{"_errors":[],"a":{"_errors":["Expected string, received null"]}}}`,
		},
		"one of the whole": {
			[]seamerr.Problem{at("At least one")},
			`{"message":"At least one","validation_errors":{"_errors":["At least one"]}}`,
		},
		"missing": {
			[]seamerr.Problem{at(seamerr.Required, "a", "b")},
			`{"message":"a.b is required","validation_errors":{"_errors":[],"a":{"_errors":[],"b":{"_errors":["Required"]}}}}`,
		},
		"several": {
			[]seamerr.Problem{at("x", "a", "1"), at("y", "a"), at("z", "a", "1"), at("w")},
			`{"message":"4 Input Errors: x for \"a.1\", y for \"a\", z for \"a.1\", w",
			  "validation_errors":{"_errors":["w"],"a":{"_errors":["y"],"1":{"_errors":["x","z"]}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.InvalidInput(test.problems)
			if e.HTTPStatus != 400 || e.Type != "invalid_input" {
				t.Errorf("error is %+v", e)
			}
			body, err := e.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, body, `{"ok":false,"error":`+`{"type":"invalid_input",`+test.want[1:]+`}`)
		})
	}
}

// A hostile request may have any number of faults; what is told of them is bounded.
func TestInvalidInputIsBounded(t *testing.T) {
	problems := make([]seamerr.Problem, 1000)
	for i := range problems {
		problems[i] = seamerr.Problem{Path: []string{"a", fmt.Sprint(i)}, Message: "m"}
	}
	e := seamerr.InvalidInput(problems)
	if len(e.Problems) != 100 || !strings.HasPrefix(e.Message, "100 Input Errors: ") {
		t.Errorf("%d problems, message begins %.30q", len(e.Problems), e.Message)
	}
}
