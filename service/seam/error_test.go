package seam

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestSeamsErrors shows what a caller gets of an error of Seam.
func TestSeamsErrors(t *testing.T) {
	const notFound = `{"error":{"type":"client_session_not_found","message":"Client session not found",` +
		`"request_id":"r-body","data":{"a":[1]}},"ok":false}`
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		code    codes.Code
		want    seamerr.Error
	}{
		"envelope": {
			responding(404, notFound, "seam-request-id", "r-header"), codes.NotFound,
			seamerr.Error{
				HTTPStatus: 404, Type: "client_session_not_found", Message: "Client session not found", SeamRequestID: "r-header",
				Data: map[string]any{"a": []any{json.Number("1")}},
			},
		},
		"id that is none in the header": {
			responding(404, notFound, "seam-request-id", "no id"), codes.NotFound,
			seamerr.Error{
				HTTPStatus: 404, Type: "client_session_not_found", Message: "Client session not found", SeamRequestID: "r-body",
				Data: map[string]any{"a": []any{json.Number("1")}},
			},
		},
		"validation errors": {
			responding(400, `{"error":{"type":"invalid_input","message":"m","validation_errors":{"a":{"_errors":["x"]}}}}`),
			codes.InvalidArgument,
			seamerr.Error{
				HTTPStatus: 400, Type: "invalid_input", Message: "m",
				ValidationErrors: map[string]any{"a": map[string]any{"_errors": []any{"x"}}},
			},
		},
		"failure": {
			responding(500, `{"error":{"type":"internal_server_error","message":"m"}}`), codes.Internal,
			// The grant may have been made. To make it again does no harm, so its caller may.
			seamerr.Error{
				HTTPStatus: 500, Type: "internal_server_error", Message: "m", OutcomeUnknown: true,
				Cause: errors.New("HTTP status 500, internal_server_error"),
			},
		},
		"number beyond any double": {
			responding(400, `{"error":{"type":"t","message":"m","data":{"n":1e400}}}`), codes.InvalidArgument,
			seamerr.Error{HTTPStatus: 400, Type: "t", Message: "m", Data: map[string]any{"n": json.Number("1e400")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.handler, func(t *testing.T, b *bubble) {
				_, _, err := once(t.Context(), b.Client)
				wantError(t, err, test.want.Type, test.code)
				if len(err.Body) == 0 || err.ContentType != "application/json" {
					t.Errorf("%s %s is handed on", err.ContentType, err.Body)
				}
				err.Body, err.ContentType = nil, ""
				if !reflect.DeepEqual(*err, test.want) {
					t.Errorf("error is %+v\nwant %+v", *err, test.want)
				}
			})
		})
	}
}

// TestErrorsWithoutEnvelope shows that for an error without Seam's envelope, the caller gets the status only. The log
// describes the body without a quotation of it.
func TestErrorsWithoutEnvelope(t *testing.T) {
	const page, html = `<html><body>secret page</body></html>`, "text/html"
	for name, test := range map[string]struct {
		status            int
		body, contentType string
		code              codes.Code
		cause             string
	}{
		"empty 503": {503, ``, "", codes.Unavailable, "empty body"},
		"HTML 502":  {502, page, html, codes.Unavailable, "37 bytes of text/html without Seam's error"},
		"HTML 403":  {403, page, html, codes.PermissionDenied, "37 bytes of text/html without Seam's error"},
		"long type": {
			500, page, "text/" + strings.Repeat("x", 60), codes.Internal, "37 bytes of unknown type without Seam's error",
		},
		"JSON 429": {
			429, `{"secret":1}`, "application/json", codes.ResourceExhausted,
			"12 bytes of application/json without Seam's error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, responding(test.status, test.body, "content-type", test.contentType), func(t *testing.T, b *bubble) {
				_, _, err := once(t.Context(), b.Client)
				wantError(t, err, "", test.code)
				message := fmt.Sprintf("Seam responded with HTTP status %d without an error of its own", test.status)
				if err.HTTPStatus != test.status || err.Message != message {
					t.Errorf("error is %+v", err)
				}
				if want := fmt.Sprintf("HTTP status %d, %s", test.status, test.cause); fmt.Sprint(err.Cause) != want {
					t.Errorf("cause is %v, want %s", err.Cause, want)
				}
			})
		})
	}
}

// TestProxyAuthentication shows that a proxy that wants the service to authenticate is the operator's concern.
func TestProxyAuthentication(t *testing.T) {
	inBubble(t, responding(407, `{"error":{"type":"unauthorized","message":"m"}}`), func(t *testing.T, b *bubble) {
		_, _, err := once(t.Context(), b.Client)
		wantError(t, err, "upstream_proxy_refused", codes.Internal)
		if !err.Local || err.HTTPStatus != 500 || err.Cause == nil || err.OutcomeUnknown {
			t.Errorf("error is %+v", err)
		}
	})
}

// echo responds as a proxy does that shows what it was asked, in an error that passes for one of Seam's.
func echo(write func(text string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := write(fmt.Sprint(r.Header))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"type":"bad_header","message":%[1]s,"request_id":%[1]s,"data":{"headers":%[1]s},`+
			`"validation_errors":{"_errors":[%[1]s]}}}`, text)
	}
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// TestEchoedCredential shows that a credential does not come back out, to the caller or to the log, whatever stands
// between Seam and the service.
func TestEchoedCredential(t *testing.T) {
	// As PHP writes JSON, which RFC 8259 allows.
	slashes := func(text string) string { return strings.ReplaceAll(quote(text), "/", `\/`) }
	bare := func(text string) string { return quote(strings.ReplaceAll(text, "Bearer ", "")) }
	const plain, odd = "seam_secret_0123456789", `seam_sec/ret+&<01234"56789\`
	for name, test := range map[string]struct {
		header, value, secret string
		write                 func(string) string
	}{
		"bearer":                       {"Authorization", "Bearer " + plain, plain, quote},
		"bearer without its scheme":    {"Authorization", "Bearer " + plain, plain, bare},
		"another scheme":               {"Authorization", "Basic " + plain, plain, quote},
		"no scheme":                    {"Authorization", plain, plain, quote},
		"two spaces":                   {"Authorization", "Bearer  " + plain, plain, quote},
		"client session token":         {"Client-Session-Token", plain, plain, quote},
		"its other name":               {"Seam-Client-Session-Token", plain, plain, quote},
		"publishable key":              {"Seam-Publishable-Key", plain, plain, quote},
		"characters that JSON escapes": {"Authorization", "Bearer " + odd, odd, quote},
		"slash that PHP escapes":       {"Authorization", "Basic dXNlcjp/c2VjcmV0", "dXNlcjp/c2VjcmV0", slashes},
		"a second word":                {"Authorization", plain + " x", plain, quote},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, echo(test.write), func(t *testing.T, b *bubble) {
				header := http.Header{test.header: {test.value}}
				_, _, e := send(t.Context(), b.Client, Call{Endpoint: GrantAccess(), Header: header})
				wantError(t, e, "bad_header", codes.InvalidArgument)
				envelope, err := e.Envelope()
				if err != nil {
					t.Fatal(err)
				}
				var read, handedOn any
				if err := json.Unmarshal(envelope, &read); err != nil {
					t.Fatal(err)
				}
				if e.Body != nil {
					if err := json.Unmarshal(e.Body, &handedOn); err != nil {
						t.Fatal(err)
					}
				}
				for face, text := range map[string]string{
					"REST": fmt.Sprint(read, handedOn), "gRPC": fmt.Sprint(e.GRPCStatus().Details()) + e.GRPCStatus().Message(),
					"log": fmt.Sprint(e, e.Cause),
				} {
					if strings.Contains(text, test.secret) || strings.Contains(text, strings.Trim(quote(test.secret), `"`)) {
						t.Errorf("%s gets the credential: %s", face, text)
					}
				}
			})
		})
	}
}
