package auth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxKeysBytes bounds an issuer's answer.
const maxKeysBytes = 1 << 20

// throttled asks an address again only after a while and gives the last answer meanwhile. The keys of an issuer are
// asked for anew whenever a token comes that none of the known ones signed, and anybody can send such tokens.
type throttled struct {
	next http.RoundTripper
	now  func() time.Time

	mu      sync.Mutex
	answers map[string]throttledAnswer
}

type throttledAnswer struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
	err    error
}

// RoundTrip answers a request of an address, one at a time.
func (t *throttled) RoundTrip(request *http.Request) (*http.Response, error) {
	if !trustworthy(request.URL) {
		// Also where the issuer says that its keys are, or redirects to.
		return nil, errors.New("the keys of an issuer need https://")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	address := request.URL.String()
	last, ok := t.answers[address]
	if !ok || t.now().Sub(last.at) >= refetchInterval {
		last = t.ask(request)
		t.answers[address] = last
	}
	if last.err != nil {
		return nil, last.err
	}
	return &http.Response{
		Status: http.StatusText(last.status), StatusCode: last.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: last.header.Clone(), Body: io.NopCloser(bytes.NewReader(last.body)),
		ContentLength: int64(len(last.body)), Request: request,
	}, nil
}

func (t *throttled) ask(request *http.Request) throttledAnswer {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return throttledAnswer{at: t.now(), err: err}
	}
	defer response.Body.Close() //nolint:errcheck // The body has been read or given up.
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBytes))
	return throttledAnswer{at: t.now(), status: response.StatusCode, header: response.Header, body: body, err: err}
}
