package seam

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// errorResponse reads a response that is not a 2xx, and redacts the credentials of the request in it.
func errorResponse(response *http.Response, id string, body []byte, redact redactor) *seamerr.Error {
	if response.StatusCode < 400 {
		// Seam documents no redirect. Following one could send the credential to another host.
		return seamerr.InvalidResponse(fmt.Errorf("redirect with HTTP status %d", response.StatusCode))
	}
	if response.StatusCode == http.StatusProxyAuthRequired {
		return seamerr.ProxyRefused()
	}
	e := seamerr.FromResponse(response.StatusCode, response.Header.Get("Content-Type"), body)
	if id != "" || !validSeamRequestID(e.SeamRequestID) {
		e.SeamRequestID = id // The SDKs read the one in the header.
	}
	redact.error(e)
	e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), clockOf(response))
	switch {
	case e.Type == "":
		e.Cause = fmt.Errorf("HTTP status %d, %s", response.StatusCode, describe(response, body))
	case response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError:
		e.Cause = fmt.Errorf("HTTP status %d, %s", response.StatusCode, e.Type)
	}
	return e
}

// describe describes a body without Seam's envelope, to help to find its sender. It quotes nothing of its text.
func describe(response *http.Response, body []byte) string {
	if len(body) == 0 {
		return "empty body"
	}
	contentType := response.Header.Get("Content-Type")
	if contentType == "" || len(contentType) > 64 || text.LooksLikeCredential(contentType) {
		contentType = "unknown type"
	}
	return fmt.Sprintf("%d bytes of %s without Seam's error", len(body), contentType)
}

// seamRequestID returns Seam's id of the request, if it is safe to pass on: a proxy may echo a request's credentials in
// it.
func seamRequestID(response http.Header, redact redactor) string {
	id := response.Get("Seam-Request-Id")
	if !validSeamRequestID(id) {
		return ""
	}
	for secret := range redact.secrets {
		if strings.Contains(id, secret) {
			return ""
		}
	}
	return id
}

// validSeamRequestID reports whether a request id may stand in a header and in the log, which excludes what looks like
// a credential.
func validSeamRequestID(id string) bool {
	for i := range len(id) {
		c := id[i]
		letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte("._:/+=-", c) < 0 {
			return false
		}
	}
	return id != "" && len(id) <= text.MaxRequestIDBytes && !text.LooksLikeCredential(id)
}

// maxRetryAfter is the maximum Retry-After: an absurd value must not make callers wait for a year.
const maxRetryAfter = time.Hour

// clockOf returns the time on the clock of a response's sender, since a date in Retry-After is by that clock. By
// another clock, the clock skew would add to the wait.
func clockOf(response *http.Response) time.Time {
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

// retryAfter reads a Retry-After header, in seconds or as a date. It returns nil for none or an invalid one.
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
