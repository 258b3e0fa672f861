package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// kind is a kind of call: how often a request may be sent is a matter of what it does.
type kind struct {
	name, method, path, query, body string
	grpc                            func(context.Context, *harness, ...grpc.CallOption) error
	want                            func(fault) result
}

func kinds() []kind {
	return []kind{
		{
			name: "read", method: http.MethodGet, path: "/client_sessions/get", query: "?client_session_id=" + sandbox.SessionID,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().Get(ctx, &clientsessionv1.GetRequest{ClientSessionId: new(sandbox.SessionID)}, options...)
				return err
			},
			want: func(f fault) result { return f.read },
		},
		{
			name: "write that can be retried", method: http.MethodPost, path: grantPath, body: byID,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().GrantAccess(ctx, grantByID(), options...)
				return err
			},
			want: func(f fault) result { return f.write },
		},
		{
			name: "write once", method: http.MethodPost, path: "/client_sessions/create", body: `{"user_identifier_key":"new"}`,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().Create(ctx, &clientsessionv1.CreateRequest{
					UserIdentifierKey: new("new"), IfExists: clientsessionv1.IfExists_IF_EXISTS_FAIL,
				}, options...)
				return err
			},
			want: func(f fault) result { return f.once },
		},
	}
}

// callGRPC makes a call over gRPC and returns how it ended, and all of the response.
func (h *harness) callGRPC(k kind) (result, string) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(authorized(h.t))
	defer cancel()
	// No deadline: the caller's own would take the place of the service's.
	defer time.AfterFunc(h.http.Timeout, cancel).Stop()
	var header, trailer metadata.MD
	st := status.Convert(k.grpc(ctx, h, grpc.Header(&header), grpc.Trailer(&trailer)))
	text := fmt.Sprint(st.Proto(), header, trailer)
	if st.Code() == codes.OK {
		return result{code: codes.OK, status: http.StatusOK}, text
	}
	d := details(h.t, st)
	got := result{
		code:      st.Code(),
		errorType: d.info.GetMetadata()["type"],
		unknown:   d.info.GetMetadata()["outcome"] == "unknown",
	}
	got.status, _ = strconv.Atoi(d.info.GetMetadata()["http_status"])
	if d.retry != nil {
		got.retryAfter = strconv.Itoa(int(d.retry.GetRetryDelay().AsDuration().Seconds()))
	}
	// A client's own policy must not retry what must not be retried.
	if pushback := trailer.Get("grpc-retry-pushback-ms"); k.name == "write once" && got.unknown && fmt.Sprint(pushback) != "[-1]" {
		h.t.Errorf("%s: the trailer grpc-retry-pushback-ms is %q", k.name, pushback)
	}
	if ids := trailer.Get("seam-request-id"); len(ids) != 1 || ids[0] == "" {
		h.t.Errorf("%s: the request ids are %q", k.name, ids)
	}
	return got, text
}

// callREST makes a call over REST and returns how it ended, and all of the response.
func (h *harness) callREST(k kind) (result, string) {
	h.t.Helper()
	response := h.send(k.method, k.path+k.query, k.body)
	text := fmt.Sprint(response.status, response.header, response.text)
	got := result{status: response.status, retryAfter: response.header.Get("Retry-After")}
	if got.status == http.StatusOK || response.text == "" {
		return got, text
	}
	failure := response.failure(h.t)
	got.errorType, _ = failure["type"].(string)
	data, _ := failure["data"].(map[string]any)
	got.unknown = data["outcome"] == "unknown"
	if response.header.Get("Seam-Request-Id") == "" {
		h.t.Errorf("%s: no request id", k.name)
	}
	return got, text
}
