package seam

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// TestAbandonedBodyIsNotKept shows that a response is read to its end for the sake of the connection when its call has
// ended, and takes no memory.
func TestAbandonedBodyIsNotKept(t *testing.T) {
	const length = 1 << 20
	for name, test := range map[string]struct {
		state int32
		kept  int
	}{"call in flight": {exchangeRuns, length}, "abandoned": {exchangeAbandoned, 0}} {
		t.Run(name, func(t *testing.T) {
			body := bytes.NewReader(make([]byte, length))
			x := &exchange{response: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), ContentLength: -1}}
			x.memory = &reservation{memory: newMemory(Config{}, length)}
			x.state.Store(test.state)
			x.read(length)
			if x.bodyErr != nil || body.Len() != 0 || len(x.text) != test.kept || test.kept == 0 && cap(x.text) > firstBuffer {
				t.Errorf("%d bytes in a buffer of %d, %d unread, error %v", len(x.text), cap(x.text), body.Len(), x.bodyErr)
			}
		})
	}
}
