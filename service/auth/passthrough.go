// Package auth authenticates and authorises callers, and decides which credential goes to Seam.
package auth

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// PassThrough is the interceptor for a service without a service credential: each call goes to Seam with the caller's
// credential, and a call without one is refused.
//
// The credential identifies the caller. It is proven once Seam has accepted a call with it.
func PassThrough() grpc.UnaryServerInterceptor {
	keys := newCallerKeys()
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if IsPublic(info.FullMethod) || isReflection(info.FullMethod) {
			return handler(ctx, request)
		}
		call := callinfo.FromContext(ctx)
		header, err := Forward(call.Metadata)
		if err != nil {
			return nil, err
		}
		call.SeamHeader = header
		call.CallerKey = keys.ofHeader(header)
		call.Proven = keys.accepted.Contains(call.CallerKey)
		response, err := handler(ctx, request)
		if err == nil && call.SeamStatus != 0 {
			keys.accepted.Add(call.CallerKey, struct{}{})
		}
		return response, err
	}
}

// Forward picks the headers for Seam out of the metadata of a call. A header with an empty value counts as
// absent: some SDKs send each header they know of. It fails with an *seamerr.Error for a repeated header, which is
// ambiguous, for a value with bytes that HTTP does not allow, and for a call without any credential.
func Forward(md metadata.MD) (http.Header, error) {
	header := http.Header{}
	credential := false
	for _, allowed := range seam.Headers() {
		var value []string
		sent := md[allowed.Name]
		for i, v := range sent {
			switch {
			case strings.TrimSpace(v) == "":
			case len(value) > 0:
				return nil, seamerr.RepeatedHeader(allowed.Name)
			case !seam.Printable(v):
				return nil, seamerr.InvalidHeader(allowed.Name)
			default:
				value = sent[i : i+1 : i+1]
			}
		}
		if len(value) == 0 {
			continue
		}
		header[allowed.Key] = value
		credential = credential || allowed.Credential
	}
	if !credential {
		return nil, seamerr.Unauthorized()
	}
	return header, nil
}
