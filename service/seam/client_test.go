package seam_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seam"
)

// What goes out is the caller's headers, the four of our own, and nothing that Go adds by itself.
func TestRequest(t *testing.T) { overBoth(t, testRequest) }

func testRequest(t *testing.T, over string) {
	t.Helper()
	type seen struct {
		method, target, host, body string
		header                     http.Header
		length                     int64
	}
	var got seen
	u := serveOver(t, over, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.ContentLength}
		_, _ = io.WriteString(w, `{}`)
	})
	for name, test := range map[string]struct {
		prefix, target string
	}{
		"plain":               {"", "/client_sessions/grant_access"},
		"trailing slash":      {"/", "/client_sessions/grant_access"},
		"prefix":              {"/seam/v1", "/seam/v1/client_sessions/grant_access"},
		"prefix and slash":    {"/seam/v1/", "/seam/v1/client_sessions/grant_access"},
		"escaped prefix":      {"/a%2Fb/%20", "/a%2Fb/%20/client_sessions/grant_access"},
		"more than one slash": {"/seam//", "/seam/client_sessions/grant_access"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ids := range [][]string{{"a\"", "b"}, {strings.Repeat("a", 8<<10)}} {
				header := authorized()
				header.Set("seam-workspace", "w-1")
				before := header.Clone()
				_, err := newClient(t, u.URL+test.prefix).Do(t.Context(), &seam.Call{
					Endpoint: seam.GrantAccess(), Header: header,
					In: &grantRequest{ClientSessionId: new("c"), ConnectedAccountIds: ids}, Out: &grantResponse{},
				})
				if err != nil {
					t.Fatal(err)
				}
				list, _ := json.Marshal(ids)
				body := `{"client_session_id":"c","connected_account_ids":` + string(list) + `}`
				if got.method != http.MethodPost || got.target != test.target || got.body != body || got.length != int64(len(body)) {
					t.Errorf("request is %+v", got)
				}
				if got.host != strings.TrimPrefix(u.URL, "https://") {
					t.Errorf("host is %s", got.host)
				}
				want := http.Header{
					"Authorization": {"Bearer " + credential}, "Seam-Workspace": {"w-1"}, "Content-Type": {"application/json"},
					"Accept": {"application/json"}, "User-Agent": {"test/1"}, "Content-Length": {strconv.Itoa(len(body))},
				}
				if !reflect.DeepEqual(got.header, want) {
					t.Errorf("headers are %q\nwant %q", got.header, want)
				}
				if !reflect.DeepEqual(header, before) {
					t.Errorf("the caller's headers were changed to %q", header)
				}
			}
		})
	}
}

// TestHeaderInjection shows that a value with a line break is not sent, whatever let it through.
func TestHeaderInjection(t *testing.T) {
	u := serve(t, responding(200, `{}`))
	_, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
		Endpoint: seam.GrantAccess(), Header: http.Header{"Authorization": {"Bearer a\r\nInjected: b"}},
		In: &grantRequest{}, Out: &grantResponse{},
	})
	if n := u.requests.Load(); err == nil || n != 0 {
		t.Errorf("%d requests, error %v", n, err)
	}
}

func TestResponse(t *testing.T) {
	const body = `{"client_session":{"token":"seam_cst1","new":{}},"ok":true,"more":[1]}`
	for name, test := range map[string]struct {
		handler  http.HandlerFunc
		token    string
		response seam.Response
	}{
		"session":         {responding(200, body, "seam-request-id", "r-1"), "seam_cst1", seam.Response{SeamRequestID: "r-1", HTTPStatus: 200, Attempts: 1}},
		"empty object":    {responding(200, `{}`), "", seam.Response{HTTPStatus: 200, Attempts: 1}},
		"other 2xx":       {responding(201, body), "seam_cst1", seam.Response{HTTPStatus: 201, Attempts: 1}},
		"wrong type":      {responding(200, body, "content-type", "text/plain"), "seam_cst1", seam.Response{HTTPStatus: 200, Attempts: 1}},
		"without length":  {flushing(body), "seam_cst1", seam.Response{HTTPStatus: 200, Attempts: 1}},
		"retry-after too": {responding(200, body, "retry-after", "5"), "seam_cst1", seam.Response{HTTPStatus: 200, Attempts: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			response, out, err := grant(t.Context(), t, newClient(t, serve(t, test.handler).URL))
			if err != nil {
				t.Fatal(err, err.Cause)
			}
			if string(response.Body) != body && (string(response.Body) != `{}` || test.token != "") {
				t.Errorf("the body is %s", response.Body)
			}
			if response.Duration <= 0 {
				t.Errorf("it took %s", response.Duration)
			}
			response.Body, response.Duration = nil, 0
			if !reflect.DeepEqual(response, test.response) || out.GetClientSession().GetToken() != test.token {
				t.Errorf("response is %+v with %v", response, out)
			}
		})
	}
}

// flushing responds in chunks, without saying how long the body is.
func flushing(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range []byte(body) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// Seam's name of a request goes back to callers as a header, so only what is fit for one may pass.
func TestRequestID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 128)
	for id, want := range map[string]string{
		"": "", "req-1": "req-1", "with space": "", "seam_cst1abc": "", "x:seam_abc": "", "eyJhbGciOiJub25lIn0": "", long: long, long + "x": "", "caf\xc3\xa9": "", "a\tb": "", "\xff": "",
	} {
		for _, status := range []int{200, 404, 302} {
			response, _, err := grant(t.Context(), t, newClient(t, serve(t, responding(status, `{}`, "seam-request-id", id)).URL))
			if response.SeamRequestID != want || response.HTTPStatus != status {
				t.Errorf("%d with id %q: response is %+v", status, id, response)
			}
			if err != nil && err.SeamRequestID != want {
				t.Errorf("%d with id %q: id of the error is %q", status, id, err.SeamRequestID)
			}
		}
	}
}
