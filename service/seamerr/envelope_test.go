package seamerr_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// same fails unless two JSON texts are equal as JSON, to the digits of the numbers.
func same(t *testing.T, got []byte, want string) {
	t.Helper()
	var values [2]any
	for i, text := range [][]byte{got, []byte(want)} {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&values[i]); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if !reflect.DeepEqual(values[0], values[1]) {
		t.Errorf("envelope is %s\nwant        %s", got, want)
	}
}

// Seam's error must reach the caller over REST unchanged: its SDKs read these members. An envelope that deviates from
// the documentation is read as far as possible: a member of another type does not affect the others.
func TestFromResponse(t *testing.T) {
	const plain = `{"error":{"type":"t","message":"m"},"ok":false}`
	for name, test := range map[string]struct {
		body string
		made string // made is the envelope that is made of it, empty for one that is equal to the body.
	}{
		"plain":                   {body: `{"error":{"type":"t","message":"m","request_id":"r"},"ok":false}`},
		"no request id":           {body: plain},
		"empty message":           {body: `{"error":{"type":"t","message":""},"ok":false}`},
		"empty data":              {body: `{"error":{"type":"t","message":"m","data":{}},"ok":false}`},
		"data":                    {body: `{"error":{"type":"t","message":"m","data":{"a":[1,null,{"b":"<&>"}]}},"ok":false}`},
		"data is a list":          {body: `{"error":{"type":"t","message":"m","data":[1]},"ok":false}`},
		"data is a text":          {body: `{"error":{"type":"t","message":"m","data":"x"},"ok":false}`},
		"numbers and digits":      {body: `{"error":{"type":"t","message":"m","data":{"big":12345678901234567890,"small":1.0,"e":1e999}},"ok":false}`},
		"empty validation":        {body: `{"error":{"type":"t","message":"m","validation_errors":{}},"ok":false}`},
		"nested validation":       {body: `{"error":{"type":"t","message":"m","validation_errors":{"_errors":[],"a":{"_errors":["x"],"0":{"_errors":["y"],"b":{"_errors":[]}}}}},"ok":false}`},
		"odd validation":          {body: `{"error":{"type":"t","message":"m","validation_errors":{"a":5,"b":[1],"_errors":"x"}},"ok":false}`},
		"text of all kinds":       {body: `{"error":{"type":"t","message":"\u0000\u2028é😀\"\\<script>"},"ok":false}`},
		"another order":           {body: `{"ok":false,"error":{"request_id":"r","message":"m","type":"t"}}`},
		"unknown members":         {`{"error":{"type":"t","message":"m","new":1},"new":2,"ok":false}`, plain},
		"nulls":                   {`{"error":{"type":"t","message":"m","request_id":null,"data":null,"validation_errors":null},"ok":null}`, plain},
		"validation is a list":    {`{"error":{"type":"t","message":"m","validation_errors":["x"]}}`, plain},
		"ok is true":              {`{"error":{"type":"t","message":"m"},"ok":true}`, plain},
		"ok is a text":            {`{"error":{"type":"t","message":"m"},"ok":"false"}`, plain},
		"request id is a number":  {`{"error":{"type":"t","message":"m","request_id":5},"ok":false}`, plain},
		"space, and no ok at all": {" { \"error\" : {\"type\":\"t\",\n\"message\":\"m\"} } ", plain},
	} {
		t.Run(name, func(t *testing.T) {
			const contentType = "application/json; charset=utf-8"
			e := seamerr.FromResponse(418, contentType, []byte(test.body))
			if e.HTTPStatus != 418 || e.Local || e.Cause != nil || string(e.Body) != test.body || e.ContentType != contentType {
				t.Errorf("error is %+v", e)
			}
			made, err := e.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, made, cmp.Or(test.made, test.body))
		})
	}
}

// A body without Seam's envelope gives an error without a type, and is not quoted over gRPC: it may be the page of a
// proxy with anything in it. JSON is passed on over REST, for the SDKs.
func TestFromResponseWithoutEnvelope(t *testing.T) {
	const secret, envelope = "echoed-secret", `{"error":{"type":"t","message":"echoed-secret"},"ok":false}`
	const ofJSON = "application/json"
	for name, test := range map[string]struct {
		contentType, body string
		kept              bool
	}{
		"empty":                  {ofJSON, ``, false},
		"HTML":                   {"text/html", `<html><h1>502 Bad Gateway</h1>echoed-secret</html>`, false},
		"HTML that says JSON":    {ofJSON, `<html>echoed-secret</html>`, false},
		"envelope as HTML":       {"text/html", envelope, false},
		"envelope without type":  {"", envelope, false},
		"envelope as a problem":  {"application/problem+json", envelope, true},
		"JSON of others":         {ofJSON, `{"message":"echoed-secret","code":5}`, true},
		"null":                   {ofJSON, `null`, true},
		"a list":                 {ofJSON, `[{"error":{"type":"t","message":"m"}}]`, true},
		"error is a text":        {ofJSON, `{"error":"echoed-secret"}`, true},
		"error is null":          {ofJSON, `{"error":null,"ok":false}`, true},
		"no type":                {ofJSON, `{"error":{"message":"echoed-secret"}}`, true},
		"empty type":             {ofJSON, `{"error":{"type":"","message":"echoed-secret"}}`, true},
		"type is a number":       {ofJSON, `{"error":{"type":5,"message":"echoed-secret"}}`, true},
		"type is no name":        {ofJSON, `{"error":{"type":"Some Type!","message":"echoed-secret"}}`, true},
		"type like a credential": {ofJSON, `{"error":{"type":"seam_cst1abc","message":"echoed-secret"}}`, true},
		"type is too long":       {ofJSON, `{"error":{"type":"` + strings.Repeat("t", 65) + `","message":"echoed-secret"}}`, true},
		"no message":             {ofJSON, `{"error":{"type":"t"}}`, true},
		"message is a number":    {ofJSON, `{"error":{"type":"t","message":5}}`, true},
		"truncated":              {ofJSON, `{"error":{"type":"t","message":"echoed-secret"`, false},
		"two envelopes":          {ofJSON, envelope + envelope, false},
		"as long as may be":      {ofJSON, `"` + strings.Repeat("x", 64<<10-2) + `"`, true},
		"over the limit":         {ofJSON, `"` + strings.Repeat("x", 64<<10-1) + `"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.FromResponse(502, test.contentType, []byte(test.body))
			if want := "Seam responded with HTTP status 502 without an error of its own"; e.Type != "" || e.Message != want || e.HTTPStatus != 502 || e.Local {
				t.Errorf("error is %+v", e)
			}
			if kept := e.Body != nil; kept != test.kept || (kept && (string(e.Body) != test.body || e.ContentType != test.contentType)) {
				t.Errorf("%s %.100s is handed on", e.ContentType, e.Body)
			}
			status := e.GRPCStatus().Proto().String()
			if strings.Contains(status, secret) {
				t.Errorf("the status is %s", status)
			}
			wantInfo(t, e, "BAD_GATEWAY", "client-session-service")
			if made, err := e.Envelope(); made != nil || err != nil {
				t.Errorf("envelope is %s, error %v; want none", made, err)
			}
		})
	}
}

func TestInvalidInput(t *testing.T) {
	type violations = []seamerr.FieldViolation
	at := func(message string, path ...string) seamerr.FieldViolation {
		return seamerr.FieldViolation{Path: path, Message: message}
	}
	for name, test := range map[string]struct {
		violations    violations
		message, tree string
	}{
		"one":              {violations{at("m", "a")}, `m for \"a\"`, `{"_errors":[],"a":{"_errors":["m"]}}`},
		"one of the whole": {violations{at("At least one")}, "At least one", `{"_errors":["At least one"]}`},
		"missing": {
			violations{seamerr.Required("a", "b")},
			"a.b is required", `{"_errors":[],"a":{"_errors":[],"b":{"_errors":["Required"]}}}`,
		},
		"several": {
			violations{at("x", "a", "1"), at("y", "a"), at("z", "a", "1"), at("w")},
			`4 Input Errors: x for \"a.1\", y for \"a\", z for \"a.1\", w`,
			`{"_errors":["w"],"a":{"_errors":["y"],"1":{"_errors":["x","z"]}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := seamerr.InvalidInput(test.violations)
			body, err := e.Envelope()
			if e.HTTPStatus != 400 || err != nil {
				t.Fatalf("error is %+v, %v", e, err)
			}
			same(t, body, `{"ok":false,"error":{"type":"invalid_input","message":"`+test.message+`","validation_errors":`+test.tree+`}}`)
		})
	}
	// A hostile request may have any number of violations. Those in the error are bounded.
	many := make(violations, 1000)
	for i := range many {
		many[i] = at("m", "a", fmt.Sprint(i))
	}
	if e := seamerr.InvalidInput(many); len(e.Violations) != 100 || !strings.HasPrefix(e.Message, "100 Input Errors: ") {
		t.Errorf("%d violations, message begins %.30q", len(e.Violations), e.Message)
	}
}
