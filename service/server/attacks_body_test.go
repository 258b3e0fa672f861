package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// withJobs calls as jobs, whose token is made when the service has been started.
func withJobs(rpc string) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+h.jobsToken)
		err := h.invoke(ctx, "/seam.clientsession.v1.ClientSessionService/"+rpc, grantByID(), nil)
		return status.Code(err).String(), fmt.Sprint(status.Convert(err).Proto())
	}
}

// wireAttacks are about where one request ends and the next begins. The second request of each pair has no token: with
// request smuggling it would get the response of another client.
func wireAttacks() []attack {
	const anonymous = "POST " + grantPath + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX: "
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(byID), byID)
	bare := post("{}")
	return []attack{
		{"pair on one connection", bytesOn(post(byID, asOrders)+post(byID), 2), "200,401", 1},
		{"both lengths", bytesOn(post(chunked+bare, asOrders, "Content-Length: 6", "Transfer-Encoding: chunked"), 2), "200,closed", 1},
		{"chunked twice", bytesOn(post(chunked+bare, asOrders, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 2), "501,closed", 0},
		{"chunked and something", bytesOn(post(chunked+bare, asOrders, "Transfer-Encoding: gzip, chunked"), 2), "501,closed", 0},
		{"chunked in disguise", bytesOn(post(chunked+bare, asOrders, "Transfer-Encoding: xchunked", "Content-Length: 5"), 2), "501,closed", 0},
		{"chunked with a space", bytesOn(post(chunked+bare, asOrders, "Transfer-Encoding : chunked"), 2), "400,closed", 0},
		{"chunked with a vertical tab", bytesOn(post(chunked+bare, asOrders, "Transfer-Encoding: \x0bchunked"), 2), "400,closed", 0},
		{"two lengths", bytesOn(post(byID+bare, asOrders, fmt.Sprint("Content-Length: ", len(byID)), "Content-Length: 5"), 2), "400,closed", 0},
		{"length with a sign", bytesOn(post(byID+bare, asOrders, fmt.Sprint("Content-Length: +", len(byID))), 2), "400,closed", 0},
		{"length in hex", bytesOn(post(byID+bare, asOrders, "Content-Length: 0x10"), 2), "400,closed", 0},
		{"length below zero", bytesOn(post(byID+bare, asOrders, "Content-Length: -1"), 2), "400,closed", 0},
		{"length too small", bytesOn(post(byID+"\r\n\r\n", asOrders, "Content-Length: 10"), 2), "400,400", 0},
		{"length too small, request in the body", bytesOn(post("{}"+bare, asOrders, "Content-Length: 2"), 2), "400,401", 0},
		{"length of zero, request in the body", bytesOn(post(bare, asOrders, "Content-Length: 0"), 2), "400,401", 0},
		{"GET with a request in its body", bytesOn(strings.Replace(post(bare, asOrders), "POST", "GET", 1)+"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 2), "405,404", 0},
		{"request in a header of the next", bytesOn(post("{}"+anonymous+post(byID, asOrders), asOrders, "Content-Length: 2"), 2), "400,400", 0},
		{"chunk with a bare line feed", bytesOn(post("2;\n{}\r\n0\r\n\r\n"+bare, asOrders, "Transfer-Encoding: chunked"), 2), "400,closed", 0},
		{"invalid chunk", bytesOn(post("zz\r\n{}\r\n0\r\n\r\n", asOrders, "Transfer-Encoding: chunked"), 1), "400", 0},
		{"chunk of a huge size", bytesOn(post("ffffffffffffffffff\r\n{}", asOrders, "Transfer-Encoding: chunked"), 1), "400", 0},
		{"chunk with a long extension", bytesOn(post("2;"+strings.Repeat("a", 64<<10)+"\r\n{}\r\n0\r\n\r\n", asOrders, "Transfer-Encoding: chunked"), 1), "400", 0},
		{"token in a trailer", bytesOn(post(fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n\r\n", len(byID), byID, asOrders), "Trailer: Authorization", "Transfer-Encoding: chunked"), 1), "401", 0},
		{"expectation", bytesOn(post(byID, asOrders, "Expect: 100-continue"), 2), "100,200", 1},
		{"expectation of something else", bytesOn(post(byID, asOrders, "Expect: 200-ok"), 1), "417", 0},
		{"expectation of an unauthenticated client", bytesOn(post("", "Expect: 100-continue", "Content-Length: 2000000"), 1), "401", 0},
		{"HTTP/0.9", bytesOn("GET /client_sessions/list\r\n\r\n", 1), "400", 0},
		{"HTTP/1.0 without a host", bytesOn("GET /client_sessions/list HTTP/1.0\r\n\r\n", 1), "401", 0},
		{"HTTP/3.7", bytesOn("GET / HTTP/3.7\r\nHost: a\r\n\r\n", 1), "505", 0},
		{"HTTP/2 on the REST face", bytesOn(http2.ClientPreface, 1), "404", 0},
		{"upgrade to HTTP/2", bytesOn(post(byID, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 1), "401", 0},
		{"TLS on the REST face", bytesOn("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("\x00", 600)+"\r\n\r\n", 1), "400", 0},
		{"zero bytes", bytesOn(strings.Repeat("\x00", 64<<10)+"\r\n\r\n", 1), "431", 0},
		{"line breaks alone", bytesOn(strings.Repeat("\r\n", 1000), 1), "400", 0},
		{"SSH", bytesOn("SSH-2.0-OpenSSH_9.9\r\n", 1), "400", 0},
	}
}

// bodyAttacks are about what a body holds. All come from a caller that may call.
func bodyAttacks() []attack {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, byID)
	_ = w.Close()
	var keys strings.Builder
	for i := range 9_000 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
	}
	id := `"client_session_id":"` + sandbox.SessionID + `"`
	const invalid = "400 invalid_input"
	body := func(name, text, want string) attack {
		return attack{name, overREST(http.MethodPost, grantPath, text), want, 0}
	}
	return []attack{
		{"packed", overREST(http.MethodPost, grantPath, packed.String(), "Content-Encoding", "gzip"), invalid, 0},
		body("100,000 brackets", strings.Repeat("[", 100_000), invalid),
		body("20,000 objects", strings.Repeat(`{"a":`, 20_000), invalid),
		body("brackets in a member", `{`+id+`,"connected_account_ids":`+strings.Repeat("[", 100_000)+`}`, invalid),
		body("9,000 members", "{"+keys.String()+id+"}", invalid),
		body("member twice", `{`+id+`,`+id+`}`, invalid),
		body("member twice, escaped", `{`+id+`,"client_session_\u0069d":"x"}`, invalid),
		body("other case", `{"Client_Session_Id":"`+sandbox.SessionID+`"}`, invalid),
		body("prototype", `{`+id+`,"__proto__":{"ok":true}}`, invalid),
		body("not UTF-8", "{\"user_identifier_key\":\"\xff\xfe\"}", invalid),
		body("overlong UTF-8", "{\"user_identifier_key\":\"\xc0\xaf\"}", invalid),
		body("lone surrogate", `{"user_identifier_key":"\ud800"}`, invalid),
		body("surrogates in the wrong order", `{"user_identifier_key":"\udc00\ud800"}`, invalid),
		body("huge number", `{`+id+`,"connected_account_ids":[`+strings.Repeat("9", 100_000)+`]}`, invalid),
		body("huge exponent", `{"client_session_id":1e999999999}`, invalid),
		body("NaN", `{"client_session_id":NaN}`, invalid),
		body("comment", `{`+id+`/* */}`, invalid),
		body("comma at the end", `{`+id+`,}`, invalid),
		body("byte order mark", "\ufeff{"+id+"}", invalid),
		body("two values", `{`+id+`}{}`, invalid),
		body("line feed after a zero byte", `{`+id+"}\x00\n", invalid),
		body("token for an id", `{"client_session_id":3,"connected_account_ids":"`+ordersToken+`"}`, invalid),
		body("2 MiB body", `{"user_identifier_key":"`+strings.Repeat("a", 2<<20)+`"}`, "413 payload_too_large"),
		{"2 MiB without a length", bytesOn(post(strings.Repeat("80000\r\n"+strings.Repeat("a", 0x80000)+"\r\n", 4)+"0\r\n\r\n", asOrders, "Transfer-Encoding: chunked"), 1), "413", 0},
	}
}
