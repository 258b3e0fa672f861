package seam

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// http1Head is what the heads of all requests over HTTP/1.1 have in common.
type http1Head struct {
	// base is the path of the base URL, and fields are the lines of the headers that every request has, Host among them.
	base, fields string
}

// newHTTP1Head returns the head for an endpoint and the headers of every request. The lines are those that net/http
// writes: it does so once here, and not for each request, of which that was a twentieth of the CPU.
func newHTTP1Head(endpoint *url.URL, header http.Header) (http1Head, error) {
	var text strings.Builder
	request := http.Request{Method: http.MethodGet, URL: endpoint, Host: endpoint.Host, Header: header}
	if err := request.Write(&text); err != nil {
		return http1Head{}, fmt.Errorf("write the head of a request: %w", err)
	}
	_, fields, _ := strings.Cut(text.String(), "\r\n")
	return http1Head{base: endpoint.EscapedPath(), fields: strings.TrimSuffix(fields, "\r\n")}, nil
}

// http1Request is one request.
type http1Request struct {
	method, path string
	// header has the headers of this request beside those of every request.
	header http.Header
	body   []byte
}

// write writes and flushes the request.
func (h *http1Head) write(w *bufio.Writer, r *http1Request) error {
	// The writer keeps its first error, and Flush returns it.
	for _, part := range [...]string{r.method, " ", h.base, r.path, " HTTP/1.1\r\n", h.fields, "Content-Length: "} {
		_, _ = w.WriteString(part)
	}
	_, _ = w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(len(r.body)), 10))
	_, _ = w.WriteString("\r\n")
	_ = r.header.Write(w)
	_, _ = w.WriteString("\r\n")
	_, _ = w.Write(r.body)
	return w.Flush()
}
