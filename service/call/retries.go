package call

// HeaderSDKLanguage is sent by Seam's SDKs for Java and Go, which retry a request of any HTTP method that failed with
// a 408, 409, 429 or 5xx.
const HeaderSDKLanguage = "x-fern-language"

const (
	// headerSDKName is sent by Seam's other SDKs, some of which retry a GET, PUT or DELETE.
	headerSDKName = "seam-sdk-name"
	// headerAttempts is sent by gRPC clients when their retry policy retries a call.
	headerAttempts = "grpc-previous-rpc-attempts"
)

// Retries reports whether the caller retries failed calls. Each of Seam's SDKs retries what is safe to retry, as it
// does when it calls Seam itself. A gRPC client is recognised by its second attempt: the pushback in the response to
// its first attempt reports whether to make it.
func (c *Call) Retries() bool {
	for _, header := range [...]string{headerSDKName, HeaderSDKLanguage, headerAttempts} {
		if len(c.Metadata[header]) > 0 {
			return true
		}
	}
	return false
}
