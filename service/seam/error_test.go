package seam_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
)

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
		"id in the header alone": {
			responding(400, `{"error":{"type":"invalid_input","message":"m","validation_errors":{"a":{"_errors":["x"]}}}}`,
				"seam-request-id", "r-header"),
			codes.InvalidArgument,
			seamerr.Error{
				HTTPStatus: 400, Type: "invalid_input", Message: "m", SeamRequestID: "r-header",
				ValidationErrors: map[string]any{"a": map[string]any{"_errors": []any{"x"}}},
			},
		},
		"unauthorized": {
			responding(401, `{"error":{"type":"unauthorized","message":"m"}}`), codes.Unauthenticated,
			seamerr.Error{HTTPStatus: 401, Type: "unauthorized", Message: "m"},
		},
		"failure": {
			responding(500, `{"error":{"type":"internal_server_error","message":"m"}}`), codes.Internal,
			// The grant may have been made. To make it again does no harm, so its caller may.
			seamerr.Error{HTTPStatus: 500, Type: "internal_server_error", Message: "m", OutcomeUnknown: true},
		},
		"number beyond any double": {
			responding(400, `{"error":{"type":"t","message":"m","data":{"n":1e400}}}`), codes.InvalidArgument,
			seamerr.Error{HTTPStatus: 400, Type: "t", Message: "m", Data: map[string]any{"n": json.Number("1e400")}},
		},
		"id that is none in the header": {
			responding(404, notFound, "seam-request-id", "no id"), codes.NotFound,
			seamerr.Error{
				HTTPStatus: 404, Type: "client_session_not_found", Message: "Client session not found", SeamRequestID: "r-body",
				Data: map[string]any{"a": []any{json.Number("1")}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			response, _, err := grantOnce(t.Context(), t, newClient(t, serve(t, test.handler).URL))
			wantError(t, err, test.want.Type, test.code)
			if len(err.Body) == 0 || err.ContentType != "application/json" {
				t.Errorf("%s %s is handed on", err.ContentType, err.Body)
			}
			err.Body, err.ContentType = nil, ""
			if !reflect.DeepEqual(*err, test.want) {
				t.Errorf("error is %+v\nwant %+v", *err, test.want)
			}
			if response.HTTPStatus != test.want.HTTPStatus {
				t.Errorf("response is %+v", response)
			}
		})
	}
}

// For an error without Seam's envelope, the caller gets the status only. The log describes the body without a quotation
// of it.
func TestErrorsWithoutEnvelope(t *testing.T) {
	t.Parallel()
	const page = `<html><body>secret page</body></html>`
	long := "text/" + strings.Repeat("x", 60)
	for name, test := range map[string]struct {
		status  int
		handler http.HandlerFunc
		code    codes.Code
		cause   string
	}{
		"empty 503": {503, responding(503, ``, "retry-after", "5"), codes.Unavailable, "HTTP status 503, empty body"},
		"HTML 502":  {502, responding(502, page, "content-type", "text/html"), codes.Unavailable, "HTTP status 502, 37 bytes of text/html without Seam's error"},
		"HTML 403":  {403, responding(403, page, "content-type", "text/html"), codes.PermissionDenied, "HTTP status 403, 37 bytes of text/html without Seam's error"},
		"long type": {500, responding(500, page, "content-type", long), codes.Internal, "HTTP status 500, 37 bytes of unknown type without Seam's error"},
		"JSON 429":  {429, responding(429, `{"secret":1}`, "content-type", "application/json"), codes.ResourceExhausted, "HTTP status 429, 12 bytes of application/json without Seam's error"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := grantOnce(t.Context(), t, newClient(t, serve(t, test.handler).URL))
			wantError(t, err, "", test.code)
			if err.HTTPStatus != test.status || err.Message != fmt.Sprintf("Seam responded with HTTP status %d without an error of its own", test.status) {
				t.Errorf("error is %+v", err)
			}
			if err.Cause == nil || err.Cause.Error() != test.cause {
				t.Errorf("cause is %v", err.Cause)
			}
			if (err.RetryAfter != nil) != (name == "empty 503") {
				t.Errorf("retry after %v", err.RetryAfter)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const none = time.Duration(-1)
	for value, want := range map[string]time.Duration{
		"": none, "0": 0, "1": time.Second, "1.5": 1500 * time.Millisecond, "120": 2 * time.Minute, "3600": time.Hour,
		"3601": time.Hour, "1e18": time.Hour, "1e308": time.Hour, "Inf": time.Hour, "+inf": time.Hour, "-0": 0,
		"-1": none, "-Inf": none, "NaN": none, "soon": none, "5 s": none, "5,10": none, "é": none,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": time.Hour, "2099-01-01T00:00:00Z": none,
	} {
		t.Run(value, func(t *testing.T) {
			u := serve(t, responding(429, `{"error":{"type":"rate_limited","message":"m"}}`, "retry-after", value))
			_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
			wantError(t, err, "rate_limited", codes.ResourceExhausted)
			if got := err.RetryAfter; (got == nil) != (want == none) || (got != nil && *got != want) {
				t.Errorf("retry after is %v, want %s", got, want)
			}
		})
	}
	t.Run("a date to come", func(t *testing.T) {
		at := time.Now().Add(10 * time.Minute)
		u := serve(t, responding(503, ``, "retry-after", at.UTC().Format(http.TimeFormat)))
		_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
		// The date has whole seconds, and some time passes until it is read.
		if got := err.RetryAfter; got == nil || *got > 10*time.Minute || *got < 9*time.Minute {
			t.Errorf("retry after is %v", got)
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

// A credential must not come back out, to the caller's log or to ours, whatever stands between Seam and the service.
func TestEchoedCredential(t *testing.T) {
	// As PHP writes JSON, which RFC 8259 allows.
	slashes := func(text string) string { return strings.ReplaceAll(quote(text), "/", `\/`) }
	const plain, odd = "seam_secret_0123456789", `seam_sec/ret+&<01234"56789\`
	for name, test := range map[string]struct {
		header, value, secret string
		write                 func(string) string
	}{
		"bearer":                       {"Authorization", "Bearer " + plain, plain, quote},
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
			u := serve(t, echo(test.write))
			_, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
				Endpoint: seam.GrantAccess(), Header: http.Header{test.header: {test.value}}, In: &grantRequest{}, Out: &grantResponse{},
			})
			e := seamerr.From(err)
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
	}
	t.Run("in a page", func(t *testing.T) {
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprint(w, r.Header)
		})
		_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
		wantError(t, err, "", codes.Unavailable)
		if text := fmt.Sprintf("%v %v %v", err, err.Cause, err.GRPCStatus()); strings.Contains(text, credential) {
			t.Errorf("the credential is in the text: %s", text)
		}
	})
}
