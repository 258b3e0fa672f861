package server_test

import (
	"net/http"
	"slices"
	"strings"
)

// attacks are the rows of TestAttacks.
func attacks() []attack {
	// The unread requests are counted, so they come before the floods, of which something may still be in the works.
	return slices.Concat(unreadAttacks(), identityAttacks(), headerAttacks(), pathAttacks(), wireAttacks(), bodyAttacks(),
		tokenAttacks(), frameAttacks())
}

// identityAttacks are about who calls.
func identityAttacks() []attack {
	last := ordersToken[:len(ordersToken)-1] + "X"
	const no, noGRPC = "401 unauthorized", "Unauthenticated"
	rows := [][]attack{
		both("no token", no, noGRPC, 0, "Authorization", ""),
		both("wrong token", no, noGRPC, 0, "Authorization", "Bearer css_WRONGWRONGWRONGWRONGWRONGW"),
		both("last byte differs", no, noGRPC, 0, "Authorization", "Bearer "+last),
		both("white space for a token", no, noGRPC, 0, "Authorization", "Bearer  "),
		both("Basic", no, noGRPC, 0, "Authorization", "Basic "+ordersToken),
		both("token without a scheme", no, noGRPC, 0, "Authorization", ordersToken),
		both("the service credential", no, noGRPC, 0, "Authorization", "Bearer seam_secret_guess"),
		both("20 KB token", no, noGRPC, 0, "Authorization", "Bearer "+strings.Repeat("a", 20<<10)),
		both("JWT of an unknown issuer", no, noGRPC, 0, "Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."),
		both("forged caller", no, noGRPC, 0, "Authorization", "", "X-Caller", "orders", "X-Forwarded-User", "orders", "X-Forwarded-Client-Cert", "URI=spiffe://x/orders"),
		both("gateway's prefix", no, noGRPC, 0, "Authorization", "", "Grpc-Metadata-Authorization", "Bearer "+ordersToken, "Grpcgateway-Authorization", "Bearer "+ordersToken),
		both("other headers with a token", no, noGRPC, 0, "Authorization", "", "Proxy-Authorization", "Bearer "+ordersToken, "X-Authorization", "Bearer "+ordersToken, "Cookie", "authorization=Bearer "+ordersToken),
		both("Seam's headers for a token", no, noGRPC, 0, "Authorization", "", "Client-Session-Token", "seam_secret_cst", "Seam-Publishable-Key", "seam_secret_pk"),
		// The caller is known and may not call this. Whether what it sends is any good, it does not learn.
		{{"RPC that is not allowed, REST", overREST(http.MethodPost, grantPath, `{"x":`, "Authorization", "Bearer "+readerToken), "403 forbidden", 0}},
		{{"RPC that is not allowed, by its other method", overREST(http.MethodPatch, grantPath, byID, "Authorization", "Bearer "+readerToken), "403 forbidden", 0}},
		{{"RPC that is not allowed, gRPC", overGRPC("GrantAccess", nil, "Authorization", "Bearer "+readerToken), "PermissionDenied", 0}},
		{{"RPC that is not allowed, overridden method", overREST(http.MethodPost, grantPath, byID, "Authorization", "Bearer "+readerToken, "X-HTTP-Method-Override", "GET"), "403 forbidden", 0}},
		{{"RPC that is not allowed, path in a header", overREST(http.MethodPost, grantPath, byID, "Authorization", "Bearer "+readerToken, "X-Original-URL", "/client_sessions/get", "X-Rewrite-URL", "/client_sessions/get"), "403 forbidden", 0}},
		{{"JWT", withJobs("GrantAccess"), "OK", 1}},
		{{"JWT, RPC that is not allowed", withJobs("Delete"), "PermissionDenied", 0}},
		{{"two headers, REST", bytesOn(post(byID, asOrders, asOrders), 1), "401", 0}},
		{{"two headers, the wrong one first, REST", bytesOn(post(byID, "Authorization: Bearer x", asOrders), 1), "401", 0}},
		{{"two headers, gRPC", framesWith("+authorization", "Bearer "+ordersToken), "grpc 16", 0}},
		{{"two headers, other scheme, gRPC", framesWith("+authorization", "Basic eDp5"), "grpc 16", 0}},
		{{"two tokens in one header", overREST(http.MethodPost, grantPath, byID, "Authorization", "Bearer x, Bearer "+ordersToken), no, 0}},
		{{"path to an exempt method", framesWith("authorization", "", ":path", "/grpc.health.v1.Health/Check/../../seam.clientsession.v1.ClientSessionService/GrantAccess"), "grpc 12", 0}},
	}
	return slices.Concat(rows...)
}

// headerAttacks are about headers that something between the caller and the service might act on.
func headerAttacks() []attack {
	many := make([]string, 1000)
	for i := range many {
		many[i] = "X-" + strings.Repeat("a", i%50+1) + ": " + strings.Repeat("b", 50)
	}
	const invalid = "400 invalid_input"
	rows := [][]attack{
		// A caller's own headers for Seam do not count in this mode: the key is the service's, and so is the workspace.
		both("headers for Seam", "200", "OK", 1, "Seam-Workspace", "a7d2e4b6-1c93-4f58-8b7d-6e5f4c3b2a02", "Client-Session-Token", "seam_secret_cst", "Seam-Publishable-Key", "seam_secret_pk",
			"User-Identifier-Key", "john_doe", "Seam-User-Identifier-Key", "john_doe", "Seam-Sdk-Name", "x", "Seam-Lts-Version", "1"),
		both("forged origin", "200", "OK", 1, "X-Forwarded-For", "10.9.8.7", "Forwarded", "for=10.9.8.7", "X-Real-Ip", "10.9.8.7", "X-Caller", "reader", "Grpc-Metadata-Seam-Workspace", "x"),
		both("text in other headers", "200", "OK", 1, "X-HTTP-Method-Override", "DELETE", "Traceparent", "x", "Baggage", "a=b"),
		{{"authorization as hop by hop", bytesOn(post(byID, asOrders, "Connection: authorization, close"), 1), "200", 1}},
		{{"another host", bytesOn(strings.Replace(post(byID, asOrders), "Host: a", "Host: connect.getseam.com", 1), 1), "200", 1}},
		{{"absolute address", bytesOn(strings.Replace(post(byID, asOrders), grantPath, "http://connect.getseam.com"+grantPath, 1), 1), "200", 1}},
		{{"line feed in a value", bytesOn(post(byID, asOrders+"\nX-Evil: 1"), 1), "200", 1}},
		{{"bare carriage return in a value", bytesOn(post(byID, asOrders+"\rX-Evil: 1"), 1), "400", 0}},
		{{"zero byte in a value", bytesOn(post(byID, asOrders+"\x00"), 1), "400", 0}},
		{{"escape in a value", bytesOn(post(byID, asOrders, "Seam-Workspace: \x1b[2J"), 1), "400", 0}},
		{{"delete in a token", bytesOn(post(byID, asOrders+"\x7f"), 1), "400", 0}},
		{{"not ASCII in a header for Seam", bytesOn(post(byID, asOrders, "Seam-Workspace: \xc3\xa9"), 1), "400", 0}},
		{{"not ASCII in a token", bytesOn(post(byID, asOrders+"\xff"), 1), "401", 0}},
		{{"space before the colon", bytesOn(post(byID, "Authorization : Bearer "+ordersToken), 1), "400", 0}},
		{{"folded header", bytesOn(post(byID, "Authorization: Bearer\r\n "+ordersToken), 1), "200", 1}},
		{{"no name", bytesOn(post(byID, asOrders, ": x"), 1), "400", 0}},
		{{"no host", bytesOn(strings.Replace(post(byID, asOrders), "Host: a\r\n", "", 1), 1), "400", 0}},
		{{"two hosts", bytesOn(post(byID, asOrders, "Host: b"), 1), "400", 0}},
		{{"100 KB header", bytesOn(post(byID, asOrders, "X: "+strings.Repeat("a", 100<<10)), 1), "431", 0}},
		{{"1000 headers", bytesOn(post(byID, append([]string{asOrders}, many...)...), 1), "431", 0}},
		{{"endless path", bytesOn("GET /"+strings.Repeat("a", 100<<10)+" HTTP/1.1\r\nHost: a\r\n\r\n", 1), "431", 0}},
		{{"request id with a line break in it", overREST(http.MethodPost, grantPath, byID, "X-Request-Id", "a b{\"level\":\"x\"}"), "200", 1}},
		{{"content type of another kind", overREST(http.MethodPost, grantPath, byID, "Content-Type", "application/grpc"), "400 invalid_content_type", 0}},
		{{"parameter twice", overREST(http.MethodPost, grantPath+"?user_identifier_key=a&user_identifier_key=b", `{}`), "400 invalid_query_params", 0}},
		{{"key in the query", overREST(http.MethodPost, grantPath+"?access_token="+ordersToken, byID, "Authorization", ""), "401 unauthorized", 0}},
		{{"nothing in particular", overREST(http.MethodPost, grantPath, `{}`), invalid, 0}},
	}
	return slices.Concat(rows...)
}

// pathAttacks are about spellings of a path or a method.
func pathAttacks() []attack {
	const service = "/seam.clientsession.v1.ClientSessionService"
	var rows []attack
	for _, path := range []string{
		service[1:] + "/GrantAccess", "/" + service + "/GrantAccess", service + "//GrantAccess", service + "/grantaccess",
		service + "/GRANTACCESS", service + "%2FGrantAccess", service + "/Grant%41ccess", service + "/GrantAccess/",
		service + "/GrantAccess?x=y", service + "/GrantAccess#x", service + "/./GrantAccess", service + "/GrantAccess\x00",
		"/x/.." + service + "/GrantAccess", "//GrantAccess", "/GrantAccess", "/", "*", "GrantAccess", service, service + "/",
		"/seam.clientsession.v1.clientsessionservice/GrantAccess", "http://a" + service + "/GrantAccess",
		"/grpc.health.v1.Health/" + service + "/GrantAccess", "/ClientSessionService/GrantAccess", service + "/GrantAccess ",
	} {
		rows = append(rows, attack{"method " + path, framesWith(":path", path), "grpc 12|reset PROTOCOL_ERROR", 0})
	}
	for path, want := range map[string]string{
		"/client_sessions%2Fgrant_access": "404", "/client_sessions/grant_access/": "404", "/CLIENT_SESSIONS/grant_access": "404",
		"/client_sessions//grant_access": "404", "/client_sessions/../client_sessions/grant_access": "404",
		"/client_sessions/grant_access%00": "404", "/client_sessions/grant_access;x": "404", "/%": "400", "client_sessions/grant_access": "400",
		"/client_sessions\\grant_access": "404", "*": "404", "/client_sessions/grant_access\x00": "400", "": "400",
		"/_sandbox/requests": "404", "/metrics": "404", "/debug/pprof/heap": "404", service + "/GrantAccess": "404",
		"/" + ordersToken: "404", "/client_sessions/" + ordersToken + "?" + ordersToken: "404",
	} {
		rows = append(rows, attack{"path " + path, bytesOn(strings.Replace(post(byID, asOrders), grantPath, path, 1), 1), want, 0})
	}
	for method, want := range map[string]string{
		"TRACE": "405", "OPTIONS": "405", "GRANT": "405", "post": "405", "PRI": "405", "": "400", "GET\t": "400",
		ordersToken: "405",
	} {
		rows = append(rows, attack{"HTTP method " + method, bytesOn(strings.Replace(post(byID, asOrders), "POST", method, 1), 1), want, 0})
	}
	rows = append(rows,
		attack{"CONNECT", bytesOn("CONNECT connect.getseam.com:443 HTTP/1.1\r\nHost: connect.getseam.com\r\n\r\n", 1), "404", 0},
		attack{"CONNECT to the sandbox", bytesOn("CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a\r\n"+asOrders+"\r\n\r\n", 1), "404", 0},
		attack{"OPTIONS of everything", bytesOn("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 1), "200", 0},
	)
	return rows
}
