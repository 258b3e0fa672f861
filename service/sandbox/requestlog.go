package sandbox

import (
	"bytes"
	"net/http"
	"sync"
)

const (
	maxLoggedRequests = 10_000
	maxLoggedBytes    = 64 << 20
)

// Request is one request that the sandbox received. It holds credentials as
// they were sent, so it is for assertions and not for output.
type Request struct {
	Method   string
	Path     string // Path is as sent, so doubled slashes are still in it.
	RawQuery string
	Header   http.Header
	Body     []byte // Body is cut off after 1 MiB and one byte.
}

// requestLog keeps the latest requests. It is bounded in number and in bytes,
// because a sandbox may run for days.
type requestLog struct {
	mu      sync.Mutex
	entries []Request
	bytes   int
}

func (l *requestLog) add(r *http.Request, body []byte) {
	entry := Request{
		Method:   r.Method,
		Path:     r.URL.Path,
		RawQuery: r.URL.RawQuery,
		Header:   r.Header.Clone(),
		Body:     bytes.Clone(body),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry)
	l.bytes += len(body)
	for len(l.entries) > maxLoggedRequests || l.bytes > maxLoggedBytes {
		l.bytes -= len(l.entries[0].Body)
		// The array behind the slice would keep the dropped entry alive.
		l.entries[0] = Request{}
		l.entries = l.entries[1:]
	}
}

func (l *requestLog) list() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Request, len(l.entries))
	for i, entry := range l.entries {
		entry.Header = entry.Header.Clone()
		entry.Body = bytes.Clone(entry.Body)
		list[i] = entry
	}
	return list
}

func (l *requestLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.bytes = nil, 0
}
