package seamerr_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// same fails unless two JSON texts are equal as JSON.
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

// Seam's error must reach the caller over REST unchanged: its SDKs read these members.
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
	} {
		t.Run(name, func(t *testing.T) {
			body, err := seamerr.FromResponse(400, "application/json", []byte(text)).Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, body, text)
		})
	}
}

// An envelope that deviates from the documentation is read as far as possible, and passed on unchanged.
func TestFromResponse(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		data any
	}{
		"unknown members":      {`{"error":{"type":"t","message":"m","new":1},"new":2,"ok":false}`, nil},
		"nulls":                {`{"error":{"type":"t","message":"m","request_id":null,"data":null,"validation_errors":null},"ok":null}`, nil},
		"data is a list":       {`{"error":{"type":"t","message":"m","data":[1]}}`, []any{json.Number("1")}},
		"data is a text":       {`{"error":{"type":"t","message":"m","data":"x"}}`, "x"},
		"validation is a list": {`{"error":{"type":"t","message":"m","validation_errors":["x"]}}`, nil},
		"ok is true":           {`{"error":{"type":"t","message":"m"},"ok":true}`, nil},
		"another order":        {`{"ok":false,"error":{"request_id":"r","message":"m","type":"t"}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			const contentType = "application/json; charset=utf-8"
			e := seamerr.FromResponse(418, contentType, []byte(test.body))
			if e.HTTPStatus != 418 || e.Type != "t" || e.Message != "m" || e.Local || e.Cause != nil || !reflect.DeepEqual(e.Data, test.data) {
				t.Errorf("error is %+v", e)
			}
			if string(e.Body) != test.body || e.ContentType != contentType {
				t.Errorf("%s %s is handed on", e.ContentType, e.Body)
			}
		})
	}
}

// A body without Seam's envelope gives an error without a type, and is not quoted over gRPC: it may be the page of a
// proxy with anything in it. JSON is passed on over REST, for the SDKs.
func TestFromResponseWithoutEnvelope(t *testing.T) {
	const secret, envelope = "echoed-secret", `{"error":{"type":"t","message":"echoed-secret"},"ok":false}`
	for name, test := range map[string]struct {
		contentType, body string
		kept              bool
	}{
		"empty":                  {"application/json", ``, false},
		"HTML":                   {"text/html", `<html><h1>502 Bad Gateway</h1>echoed-secret</html>`, false},
		"text":                   {"text/plain", `echoed-secret`, false},
		"HTML that says JSON":    {"application/json", `<html>echoed-secret</html>`, false},
		"envelope as HTML":       {"text/html", envelope, false},
		"envelope without type":  {"", envelope, false},
		"envelope as a problem":  {"application/problem+json", envelope, true},
		"problem":                {"application/problem+json", `{"type":"about:blank","title":"echoed-secret","status":502}`, true},
		"JSON of others":         {"application/json", `{"message":"echoed-secret","code":5}`, true},
		"empty object":           {"application/json", `{}`, true},
		"null":                   {"application/json", `null`, true},
		"a list":                 {"application/json", `[{"error":{"type":"t","message":"m"}}]`, true},
		"error is a text":        {"application/json", `{"error":"echoed-secret"}`, true},
		"error is null":          {"application/json", `{"error":null,"ok":false}`, true},
		"no type":                {"application/json", `{"error":{"message":"echoed-secret"}}`, true},
		"empty type":             {"application/json", `{"error":{"type":"","message":"echoed-secret"}}`, true},
		"type is a number":       {"application/json", `{"error":{"type":5,"message":"echoed-secret"}}`, true},
		"type is no name":        {"application/json", `{"error":{"type":"Some Type!","message":"echoed-secret"}}`, true},
		"type like a credential": {"application/json", `{"error":{"type":"seam_cst1abc","message":"echoed-secret"}}`, true},
		"type without an end":    {"application/json", `{"error":{"type":"` + strings.Repeat("t", 200_000) + `","message":"echoed-secret"}}`, false},
		"no message":             {"application/json", `{"error":{"type":"t"}}`, true},
		"message is a number":    {"application/json", `{"error":{"type":"t","message":5}}`, true},
		"truncated":              {"application/json", `{"error":{"type":"t","message":"echoed-secret"`, false},
		"two envelopes":          {"application/json", envelope + envelope, false},
		"over the limit":         {"application/json", `{"message":"` + strings.Repeat("x", 64<<10) + `"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.FromResponse(502, test.contentType, []byte(test.body))
			if want := "Seam responded with HTTP status 502 without an error of its own"; e.Type != "" || e.Message != want || e.HTTPStatus != 502 {
				t.Errorf("error is %+v", e)
			}
			if kept := e.Body != nil; kept != test.kept || (kept && (string(e.Body) != test.body || e.ContentType != test.contentType)) {
				t.Errorf("%s %.100s is handed on", e.ContentType, e.Body)
			}
			status := e.GRPCStatus().Proto().String()
			if strings.Contains(status, secret) || strings.Contains(status, seamerr.DomainSeam) {
				t.Errorf("the status is %s", status)
			}
			if made, err := e.Envelope(); made != nil || err != nil {
				t.Errorf("envelope is %s, error %v; want none", made, err)
			}
		})
	}
}

func TestInvalidInput(t *testing.T) {
	at := func(message string, path ...string) seamerr.FieldViolation {
		return seamerr.FieldViolation{Path: path, Message: message}
	}
	for name, test := range map[string]struct {
		violations []seamerr.FieldViolation
		want       string
	}{
		"one": {
			[]seamerr.FieldViolation{at("Expected string, received null", "a")},
			`{"message":"Expected string, received null for \"a\"","validation_errors":{"_errors":[],"a":{"_errors":["Expected string, received null"]}}}`,
		},
		"one of the whole": {
			[]seamerr.FieldViolation{at("At least one")},
			`{"message":"At least one","validation_errors":{"_errors":["At least one"]}}`,
		},
		"missing": {
			[]seamerr.FieldViolation{seamerr.Required("a", "b")},
			`{"message":"a.b is required","validation_errors":{"_errors":[],"a":{"_errors":[],"b":{"_errors":["Required"]}}}}`,
		},
		"several": {
			[]seamerr.FieldViolation{at("x", "a", "1"), at("y", "a"), at("z", "a", "1"), at("w")},
			`{"message":"4 Input Errors: x for \"a.1\", y for \"a\", z for \"a.1\", w",
			  "validation_errors":{"_errors":["w"],"a":{"_errors":["y"],"1":{"_errors":["x","z"]}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.InvalidInput(test.violations)
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

// A hostile request may have any number of violations. Those in the error are bounded.
func TestInvalidInputIsBounded(t *testing.T) {
	violations := make([]seamerr.FieldViolation, 1000)
	for i := range violations {
		violations[i] = seamerr.FieldViolation{Path: []string{"a", fmt.Sprint(i)}, Message: "m"}
	}
	e := seamerr.InvalidInput(violations)
	if len(e.Violations) != 100 || !strings.HasPrefix(e.Message, "100 Input Errors: ") {
		t.Errorf("%d violations, message begins %.30q", len(e.Violations), e.Message)
	}
}
