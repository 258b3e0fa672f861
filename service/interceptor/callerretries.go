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

// CallerRetries notes whether it is the caller that retries what fails. Each of Seam's SDKs knows what it may retry,
// as it does when it calls Seam itself. A gRPC client is known by its second attempt; the response to its first tells
// it whether there is to be one.
func CallerRetries(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	for _, header := range []string{headerSDKName, HeaderSDKLanguage, headerAttempts} {
		if len(metadata.ValueFromIncomingContext(ctx, header)) > 0 {
			callinfo.FromContext(ctx).CallerRetries = true
			break
		}
	}
	return handler(ctx, request)
}
