package interceptor

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// HeaderSDKLanguage is sent by Seam's SDKs for Java and Go, which retry a request of any HTTP method that failed with
// a 408, 409, 429 or 5xx.
const HeaderSDKLanguage = "x-fern-language"

const (
	// headerSDKName is sent by Seam's other SDKs, some of which retry a GET, PUT or DELETE.
	headerSDKName = "seam-sdk-name"
	// headerAttempts is sent by gRPC clients when their retry policy retries a call.
	headerAttempts = "grpc-previous-rpc-attempts"
)

// CallerRetries records whether the caller retries failed calls. Each of Seam's SDKs retries what is safe to retry, as
// it does when it calls Seam itself. A gRPC client is recognised by its second attempt: the pushback in the response to
// its first one reports whether to make it.
func CallerRetries(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	call := callinfo.FromContext(ctx)
	call.CallerRetries = callerRetries(call.Metadata)
	return handler(ctx, request)
}

func callerRetries(md metadata.MD) bool {
	for _, header := range [...]string{headerSDKName, HeaderSDKLanguage, headerAttempts} {
		if len(md[header]) > 0 {
			return true
		}
	}
	return false
}
