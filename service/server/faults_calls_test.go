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

// kind is a kind of call: how often a request may be put is a matter of what it does.
type kind struct {
	name, method, path, query, body string
	grpc                            func(context.Context, *harness, ...grpc.CallOption) error
	end                             func(fault) end
}

func kinds() []kind {
	return []kind{
		{
			name: "read", method: http.MethodGet, path: "/client_sessions/get", query: "?client_session_id=" + sandbox.SessionID,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().Get(ctx, &clientsessionv1.GetRequest{ClientSessionId: new(sandbox.SessionID)}, options...)
				return err
			},
			end: func(f fault) end { return f.read },
		},
		{
			name: "repeatable write", method: http.MethodPost, path: grantPath, body: byID,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().GrantAccess(ctx, grantByID(), options...)
				return err
			},
			end: func(f fault) end { return f.write },
		},
		{
			name: "write once", method: http.MethodPost, path: "/client_sessions/create", body: `{"user_identifier_key":"new"}`,
			grpc: func(ctx context.Context, h *harness, options ...grpc.CallOption) error {
				_, err := h.client().Create(ctx, &clientsessionv1.CreateRequest{
					UserIdentifierKey: new("new"), IfExists: clientsessionv1.IfExists_IF_EXISTS_FAIL,
				}, options...)
				return err
			},
			end: func(f fault) end { return f.once },
		},
	}
}

// endOverGRPC makes a call over gRPC and returns how it ended, and all of the response.
func (h *harness) endOverGRPC(k kind) (end, string) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(authorized(h.t))
	defer cancel()
	// No deadline: the caller's own would take the place of the service's.
	defer time.AfterFunc(h.http.Timeout, cancel).Stop()
	var header, trailer metadata.MD
	st := status.Convert(k.grpc(ctx, h, grpc.Header(&header), grpc.Trailer(&trailer)))
	text := fmt.Sprint(st.Proto(), header, trailer)
	if st.Code() == codes.OK {
		return end{code: codes.OK, status: http.StatusOK}, text
	}
	d := details(h.t, st)
	ended := end{
		code:      st.Code(),
		errorType: d.info.GetMetadata()["type"],
		unknown:   d.info.GetMetadata()["outcome"] == "unknown",
	}
	ended.status, _ = strconv.Atoi(d.info.GetMetadata()["http_status"])
	if d.retry != nil {
		ended.retryAfter = strconv.Itoa(int(d.retry.GetRetryDelay().AsDuration().Seconds()))
	}
	// A client's own policy must not retry what must not be retried.
	if pushback := trailer.Get("grpc-retry-pushback-ms"); k.name == "write once" && ended.unknown && fmt.Sprint(pushback) != "[-1]" {
		h.t.Errorf("%s: the trailer grpc-retry-pushback-ms is %q", k.name, pushback)
	}
	if ids := trailer.Get("seam-request-id"); len(ids) != 1 || ids[0] == "" {
		h.t.Errorf("%s: the request ids are %q", k.name, ids)
	}
	return ended, text
}

// endOverREST makes a call over REST and returns how it ended, and all of the response.
func (h *harness) endOverREST(k kind) (end, string) {
	h.t.Helper()
	got := h.send(k.method, k.path+k.query, k.body)
	text := fmt.Sprint(got.status, got.header, got.text)
	ended := end{status: got.status, retryAfter: got.header.Get("Retry-After")}
	if got.status == http.StatusOK || got.text == "" {
		return ended, text
	}
	failure := got.failure(h.t)
	ended.errorType, _ = failure["type"].(string)
	data, _ := failure["data"].(map[string]any)
	ended.unknown = data["outcome"] == "unknown"
	if got.header.Get("Seam-Request-Id") == "" {
		h.t.Errorf("%s: no request id", k.name)
	}
	return ended, text
}
