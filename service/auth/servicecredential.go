package auth

import (
	"context"
	"path"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// ServiceCredential is the interceptor for a service with a service credential: it authenticates and authorises the
// caller, and the call goes to Seam with the service credential. No header of the caller reaches Seam. Without callers
// (nil) every client may call. Reflection is open to every client if openReflection is true, else to every
// authenticated caller.
func ServiceCredential(key *Key, callers *Callers, openReflection bool) grpc.UnaryServerInterceptor {
	keys := newCallerKeys()
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		reflects := isReflection(info.FullMethod)
		if IsPublic(info.FullMethod) || (reflects && openReflection) {
			return handler(ctx, request)
		}
		call := callinfo.FromContext(ctx)
		call.ServiceCredential = true
		call.SeamHeader = key.Header()
		call.Proven = true
		if callers == nil {
			if reflects {
				return nil, seamerr.Unauthorized()
			}
			return handler(ctx, request)
		}
		from, err := callers.identify(ctx)
		if err != nil {
			refusal := seamerr.Unauthorized()
			refusal.Cause = err
			return nil, refusal
		}
		call.Caller, call.CallerKey = from.name, keys.ofName(from.name)
		// The name comes from the server's own table of methods, not from what the caller wrote.
		if rpc := path.Base(info.FullMethod); !reflects && !from.allows(rpc) {
			return nil, seamerr.Forbidden(rpc)
		}
		return handler(ctx, request)
	}
}
