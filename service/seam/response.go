package seam

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// errorAnswer reads a response that is not a 2xx, to which Seam gave the id, without the credentials of the request.
func errorAnswer(response *http.Response, id string, text []byte, redact redactor) *seamerr.Error {
	if response.StatusCode < 400 {
		// Nothing that Seam documents redirects. To follow could hand the credential to another host.
		return seamerr.InvalidResponse(fmt.Errorf("redirect with HTTP status %d", response.StatusCode))
	}
	if response.StatusCode == http.StatusProxyAuthRequired {
		return seamerr.ProxyRefused()
	}
	e := seamerr.FromResponse(response.StatusCode, response.Header.Get("Content-Type"), text)
	if id != "" || !validRequestID(e.RequestID) {
		e.RequestID = id // The SDKs read the one in the header.
	}
	redact.error(e)
	e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), clockOf(response))
	if e.Type == "" {
		e.Cause = fmt.Errorf("HTTP status %d, %s", response.StatusCode, describe(response, text))
	}
	return e
}

// describe tells of a body without Seam's envelope what helps to find its sender, and nothing of its text.
func describe(response *http.Response, text []byte) string {
	if len(text) == 0 {
		return "empty body"
	}
	contentType := response.Header.Get("Content-Type")
	if contentType == "" || len(contentType) > 64 || credentialPattern.MatchString(contentType) {
		contentType = "unknown type"
	}
	return fmt.Sprintf("%d bytes of %s without Seam's error", len(text), contentType)
}

// requestID returns the id that Seam gave the request, if it is fit to be passed on: what echoes a request's
// credentials may do so here, too.
func requestID(response http.Header, redact redactor) string {
	id := response.Get("Seam-Request-Id")
	if !validRequestID(id) || redact.finds([]byte(id)) {
		return ""
	}
	return id
}

// requestIDPattern is what a request id may look like: Seam's are UUIDs.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// validRequestID says whether a request id can stand in a header and in the log, where nothing that looks like a
// credential may.
func validRequestID(id string) bool {
	return requestIDPattern.MatchString(id) && !credentialPattern.MatchString(id)
}

// maxRetryAfter keeps a junk value from telling callers to come back in a year.
const maxRetryAfter = time.Hour

// clockOf returns what time it is for who wrote a response. A date in the response is meant by that clock; by ours, a
// difference between the clocks would be waited for.
func clockOf(response *http.Response) time.Time {
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

// retryAfter reads a Retry-After header, in seconds or as a date. It returns nil for none and for junk.
func retryAfter(value string, now time.Time) *time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
		if !(seconds >= 0) { // Negative, or not a number.
			return nil
		}
		wait = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if date, err := http.ParseTime(value); err == nil {
		wait = max(0, date.Sub(now))
	} else {
		return nil
	}
	wait = min(wait, maxRetryAfter)
	return &wait
}

// Printable says whether a text is printable ASCII and so fit to be a header's value; a line break in one would make
// two headers of it.
func Printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
