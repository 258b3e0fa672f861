package seam

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// flushing responds in chunks, without saying how long the body is.
func flushing(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range []byte(body) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// TestResponse shows that a caller gets the body of a success as Seam wrote it.
func TestResponse(t *testing.T) {
	const body = `{"client_session":{"token":"seam_cst1","new":{}},"ok":true,"more":[1]}`
	for name, handler := range map[string]http.HandlerFunc{
		"session":        responding(200, body),
		"another 2xx":    responding(201, body),
		"another type":   responding(200, body, "content-type", "text/plain"),
		"without length": flushing(body),
		"with a mark":    responding(200, "\ufeff"+body),
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, handler, func(t *testing.T, b *bubble) {
				response, out, err := call(t.Context(), b.Client, GrantAccess())
				if err != nil || string(response.Body) != body || out.GetClientSession().GetToken() != "seam_cst1" {
					t.Errorf("response is %+v with %v, error %v", response, out, err)
				}
			})
		})
	}
}

// TestByteOrderMark shows that an error with a byte order mark is read, and that a second one is not JSON.
func TestByteOrderMark(t *testing.T) {
	const body = `{"error":{"type":"some_error","message":"m"}}`
	for marks, want := range map[string]string{"\ufeff": body, "\ufeff\ufeff": ""} {
		handler := responding(400, marks+body, "content-type", "application/json")
		inBubble(t, handler, func(t *testing.T, b *bubble) {
			_, _, err := once(t.Context(), b.Client)
			if err == nil || string(err.Body) != want || (err.Type == "some_error") != (want != "") {
				t.Errorf("%q: error is %+v", marks, err)
			}
		})
	}
}

// TestRequestID shows which ids of Seam are passed on: callers get them in a header.
func TestRequestID(t *testing.T) {
	long := strings.Repeat("x", 128)
	for id, want := range map[string]string{
		"": "", "req-1": "req-1", "with space": "", "seam_cst1abc": "", "x:seam_abc": "", "eyJhbGciOiJub25lIn0": "",
		long: long, long + "x": "", "caf\xc3\xa9": "", "a\tb": "",
	} {
		for status, body := range map[int]string{200: `{}`, 201: `[]`, 404: `{}`, 302: ``} {
			inBubble(t, responding(status, body, "seam-request-id", id), func(t *testing.T, b *bubble) {
				response, _, err := once(t.Context(), b.Client)
				if response.SeamRequestID != want || response.HTTPStatus != status || (err == nil) != (status == 200) {
					t.Errorf("%d with id %q: response is %+v, error %v", status, id, response, err)
				}
				if err != nil && err.SeamRequestID != want {
					t.Errorf("%d with id %q: id of the error is %q", status, id, err.SeamRequestID)
				}
			})
		}
	}
}

// TestLongestResponse shows that a body is read up to the limit, and that an endless one costs its connection, or over
// HTTP/2 its stream.
func TestLongestResponse(t *testing.T) {
	const limit = 1000
	spaces := strings.Repeat(" ", limit-len(seamtest.Success))
	for body, fits := range map[string]bool{seamtest.Success + spaces: true, seamtest.Success + spaces + " ": false} {
		for _, handler := range []http.HandlerFunc{responding(200, body), flushing(body)} {
			inBubble(t, handler, func(t *testing.T, b *bubble) {
				if _, _, err := call(t.Context(), b.Client, GrantAccess()); fits != (err == nil) {
					t.Errorf("%d bytes with a limit of %d: %v", len(body), limit, err)
				}
			}, func(c *Config) { c.MaxResponseBytes = limit })
		}
	}
	for status, errorType := range map[int]string{200: "upstream_response_invalid", 500: ""} {
		sent := make(chan int, 1)
		overBoth(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			n := 0
			for chunk := make([]byte, 64<<10); ; n += len(chunk) {
				if _, err := w.Write(chunk); err != nil {
					sent <- n
					return
				}
			}
		}, func(t *testing.T, b *bubble) {
			_, _, err := once(t.Context(), b.Client)
			wantError(t, err, errorType, codes.Internal)
			if n := <-sent; n < defaultMaxResponseBytes || n > 2*defaultMaxResponseBytes { // The rest is in buffers.
				t.Errorf("%d: %d bytes were accepted", status, n)
			}
		})
	}
}

// TestHugeHeader shows that headers without end are not read without end.
func TestHugeHeader(t *testing.T) {
	overBoth(t, responding(200, seamtest.Success, "x-huge", strings.Repeat("x", 80<<10)), func(t *testing.T, b *bubble) {
		_, _, err := once(t.Context(), b.Client)
		wantError(t, err, "upstream_unreachable", codes.Unavailable)
	})
}

// TestAnnouncedLength shows that the memory for a response grows with what arrives, whatever length was announced.
func TestAnnouncedLength(t *testing.T) {
	overBoth(t, responding(200, "{", "content-length", "8000000"), func(t *testing.T, b *bubble) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := once(t.Context(), b.Client)
		runtime.ReadMemStats(&after)
		wantError(t, err, "upstream_response_invalid", codes.Internal)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4_000_000 { // The handshake takes most of it.
			t.Errorf("the call allocated %d bytes", allocated)
		}
	})
}

// TestEarlyResponseToLongRequest shows that a response which comes before the request was read is not lost.
func TestEarlyResponseToLongRequest(t *testing.T) {
	in := &grantRequest{}
	for range 200_000 { // More than any buffer of a kernel holds.
		in.ConnectWebviewIds = append(in.ConnectWebviewIds, strings.Repeat("a", 36))
	}
	overBoth(t, responding(http.StatusRequestEntityTooLarge, "too long"), func(t *testing.T, b *bubble) {
		response, _, err := send(t.Context(), b.Client, Call{Endpoint: Create(), In: in})
		if response.HTTPStatus != http.StatusRequestEntityTooLarge {
			t.Errorf("response %+v, error %v", response, err)
		}
	})
}

// TestTextsFromOutside shows that what the other end writes is not quoted in the cause of an error, and that the cause
// is short whatever it writes.
func TestTextsFromOutside(t *testing.T) {
	const token = "seam_cst1secret0123456789"
	long := strings.Repeat("x", 50_000)
	good := func(body string) string { return seamtest.Response("200 OK", body) }
	for name, reply := range map[string]string{
		"no HTTP":                   token + "\r\n\r\n",
		"no HTTP, long":             long + token,
		"status that is none":       "HTTP/1.1 " + token + " OK\r\n\r\n",
		"header without a colon":    "HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n",
		"header with a space":       "HTTP/1.1 200 OK\r\n" + token + " : x\r\n\r\n",
		"length that is none":       "HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n",
		"coding that is none":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n",
		"chunk that is none":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + token + "\r\n",
		"JSON that is none":         good("{" + token),
		"page":                      good("<html>" + token),
		"list":                      good(`["` + token + `"]`),
		"member of another type":    good(`{"client_session":"` + token + `"}`),
		"half an object":            good(`{"client_session":{"token":"` + token),
		"redirect":                  seamtest.Response("302 Found", "", "Location: https://"+token),
		"request id":                seamtest.Response("404 Not Found", "", "Seam-Request-Id: "+token),
		"content type":              seamtest.Response("404 Not Found", "x", "Content-Type: "+token),
		"reason phrase":             seamtest.Response("500 "+token, ""),
		"error type":                seamtest.Response("500 x", `{"error":{"type":"`+token+`"}}`, "Content-Type: application/json"),
		"unexpected other protocol": "HTTP/1.1 101 Switching\r\nUpgrade: " + token + "\r\nConnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			u := seamtest.New(t, seamtest.Fault{TLS: true, Request: seamtest.Say(reply, seamtest.Close)})
			response, _, e := once(t.Context(), newClient(t, u.URL))
			if e == nil {
				t.Fatal("no error")
			}
			text := fmt.Sprint(e, e.Cause, e.Type, e.SeamRequestID, e.GRPCStatus().Proto(), response.SeamRequestID)
			if strings.Contains(text, token) || strings.Contains(text, token[:20]) {
				t.Errorf("the token is quoted: %.1000s", text)
			}
			if e.Cause != nil && len(e.Cause.Error()) > 400 {
				t.Errorf("a cause of %d bytes", len(e.Cause.Error()))
			}
		})
	}
}

// TestAbandonedBodyIsNotKept shows that a response is read to its end for the sake of the connection when its call has
// ended, and takes no memory.
func TestAbandonedBodyIsNotKept(t *testing.T) {
	const length = 1 << 20
	for state, kept := range map[int32]int{exchangeRuns: length, exchangeAbandoned: 0} {
		body := strings.NewReader(strings.Repeat(" ", length))
		x := &exchange{response: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), ContentLength: -1}}
		x.memory = &reservation{memory: newMemory(Config{}, length)}
		x.state.Store(state)
		x.read(length)
		if x.bodyErr != nil || body.Len() != 0 || len(x.text) != kept || kept == 0 && cap(x.text) > firstBuffer {
			t.Errorf("%d bytes in a buffer of %d, %d unread, error %v", len(x.text), cap(x.text), body.Len(), x.bodyErr)
		}
	}
}
