package seam

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

const (
	// maxPassedBytes bounds the headers that are passed on, as HTTP/2 counts them. Some client libraries of gRPC accept
	// 8 KiB of headers, and an error has 7 of its own. So the headers also fit into the memory that each response has.
	maxPassedBytes = 1 << 10
	// headerOverhead is what HTTP/2 counts for a header beside its name and its value (RFC 9113).
	headerOverhead = 32
)

// passedHeaders returns the headers of Seam's response that the caller gets too, by their names in lower case, as gRPC
// metadata has them. All others are dropped. So is a header of the connection, one in which a proxy may have put the
// credentials of the request, and one that does not fit any more.
func passedHeaders(response *http.Response, redact redactor) map[string][]string {
	var keys []string
	for key := range response.Header {
		if isPassed(key) && !httpguts.HeaderValuesContainsToken(response.Header["Connection"], key) {
			keys = append(keys, key)
		}
	}
	var wait *time.Duration
	// That of an error is a part of the error.
	if after := response.Header.Get("Retry-After"); after != "" && response.StatusCode < 300 {
		wait = retryAfter(after, clockOf(response))
	}
	if keys == nil && wait == nil {
		return nil
	}
	passed := map[string][]string{}
	left := maxPassedBytes
	slices.Sort(keys)
	for _, key := range keys {
		name := strings.ToLower(key)
		for _, value := range response.Header[key] {
			size := len(name) + len(value) + headerOverhead
			if size <= left && text.IsPrintable(value) && !text.LooksLikeCredential(value) && !redact.finds([]byte(value)) {
				passed[name] = append(passed[name], value)
				left -= size
			}
		}
	}
	if wait != nil {
		passed["retry-after"] = []string{seamerr.RetryAfterSeconds(*wait)}
	}
	return passed
}

// isPassed reports whether a header is passed on, by its name as net/http has it. gRPC metadata cannot have all names
// that HTTP can, and encodes the values of those that end in -bin.
func isPassed(key string) bool {
	switch key {
	case "Deprecation", "Link", "Ratelimit", "Sunset":
		return true
	}
	return (strings.HasPrefix(key, "Ratelimit-") || strings.HasPrefix(key, "X-Ratelimit-")) &&
		!strings.HasSuffix(key, "-Bin") && !strings.ContainsFunc(key, func(c rune) bool {
		return c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	})
}
