package call

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// receiveTest is a server whose calls arrive. The limits of its request buffer are the minimum.
type receiveTest struct{ *testServer }

func newReceiveTest(t *testing.T, maxTimeout time.Duration) receiveTest {
	t.Helper()
	return receiveTest{newTestServer(t, func(c *Config) { c.MaxTimeout, c.DefaultTimeout = maxTimeout, maxTimeout })}
}

// buffer is the buffer of the calls that need a credential.
func (b receiveTest) buffer() *requestBuffer { return b.requests.authenticated }

// receive serves a call with that body, and returns how it ended.
func (b receiveTest) receive(t *testing.T, f *testFace) string {
	t.Helper()
	f.handle = func(context.Context) error { return nil }
	return errorType(b.serve(t.Context(), Method{}, f))
}

// want fails unless so many requests are arriving, so many bytes are in memory, and so many requests were evicted, timed
// out and rejected.
func (b receiveTest) want(t *testing.T, arriving, inMemory, evicted, timedOut, rejected int) {
	t.Helper()
	got := [...]float64{
		b.buffer().arriving(), b.buffer().inMemory(),
		count(t, b.buffer().evicted), count(t, b.buffer().timedOut), count(t, b.buffer().rejected),
	}
	want := [...]float64{float64(arriving), float64(inMemory), float64(evicted), float64(timedOut), float64(rejected)}
	if got != want {
		t.Errorf("arriving, bytes, evicted, timed out, rejected: %v, want %v", got, want)
	}
}

// unread is a request whose body has begun, and is being read.
type unread struct {
	body  *io.PipeWriter
	ended chan string
}

// arrive begins a request.
func (b receiveTest) arrive(t *testing.T) *unread {
	t.Helper()
	body, from := io.Pipe()
	r := &unread{from, make(chan string, 1)}
	go func() { r.ended <- b.receive(t, &testFace{ReadCloser: body}) }()
	_, _ = from.Write([]byte("begin"))
	synctest.Wait()
	return r
}

// arriving in place of the type of an error: the request has not ended.
const arriving = "arriving"

// wantEnd fails unless the request has ended with an error of that type, and not with that of its read.
func (r *unread) wantEnd(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	got := arriving
	select {
	case got = <-r.ended:
	default:
	}
	if got != want {
		t.Errorf("the request ended with %q, want %q", got, want)
	}
}

// TestReceive shows which bodies are received.
func TestReceive(t *testing.T) {
	long := make([]byte, MaxRequestBytes+1)
	for i := range long {
		long[i] = byte(i % 251) // Parts that change their places differ.
	}
	of := func(n int) io.Reader { return bytes.NewReader(long[:n]) }
	for name, test := range map[string]struct {
		body    io.Reader
		decoded int
		want    string
	}{
		"empty":             {of(0), 0, ""},
		"short":             {of(3), 3, ""},
		"one part":          {of(chunkBytes), chunkBytes, ""},
		"byte by byte":      {iotest.OneByteReader(of(chunkBytes + 1)), chunkBytes + 1, ""},
		"end with the last": {iotest.DataErrReader(of(3)), 3, ""},
		"largest":           {iotest.HalfReader(of(MaxRequestBytes)), MaxRequestBytes, ""},
		"too large":         {of(MaxRequestBytes + 1), 0, "payload_too_large"},
		"ends early":        {io.MultiReader(of(3), iotest.ErrReader(seamerr.Canceled(nil))), 0, "canceled"},
		"cannot be decoded": {of(1), 1, "invalid_input"},
	} {
		t.Run(name, func(t *testing.T) {
			b, f := newReceiveTest(t, time.Minute), &testFace{ReadCloser: io.NopCloser(test.body)}
			if got := b.receive(t, f); got != test.want {
				t.Errorf("error is %q, want %q", got, test.want)
			}
			if !bytes.Equal(f.decoded, long[:test.decoded]) {
				t.Errorf("decoded %d bytes, want %d as they came", len(f.decoded), test.decoded)
			}
			b.want(t, 0, 0, 0, 0, 0)
		})
	}
}

// TestReceiveReusesMemory shows that a request which does not arrive completely leaves its memory to the next ones. The
// race detector makes pools forget some of it.
func TestReceiveReusesMemory(t *testing.T) {
	const requests = 100
	made, before := 0, chunks.New
	defer func() { chunks.New = before }()
	chunks.New = func() any {
		made++
		return before()
	}
	b := newReceiveTest(t, time.Minute)
	for range requests {
		body := io.MultiReader(bytes.NewReader(make([]byte, 3)), iotest.ErrReader(seamerr.Canceled(nil)))
		b.receive(t, &testFace{ReadCloser: io.NopCloser(body)})
	}
	if made > requests/2 {
		t.Errorf("%d requests took the memory of %d", requests, made)
	}
}

// TestReceiveTimesOut shows that a request which does not arrive in time is cut off, each after its own timeout.
func TestReceiveTimesOut(t *testing.T) {
	for maxTimeout, timeout := range map[time.Duration]time.Duration{
		time.Minute: RequestReadTimeout, 5 * time.Second: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newReceiveTest(t, maxTimeout)
			first := b.arrive(t)
			time.Sleep(4 * time.Second)
			second, inFlight := b.arrive(t), b.buffer().add(func() { t.Error("a call in flight is cut off") })
			if err := inFlight.arrived(); err != nil {
				t.Error(err)
			}
			time.Sleep(timeout - 4*time.Second - time.Nanosecond)
			first.wantEnd(t, arriving)
			time.Sleep(time.Nanosecond)
			first.wantEnd(t, "request_timeout")
			time.Sleep(4*time.Second - time.Nanosecond)
			second.wantEnd(t, arriving)
			time.Sleep(time.Nanosecond)
			second.wantEnd(t, "request_timeout")
			third := b.arrive(t) // The timer starts anew.
			time.Sleep(timeout)
			third.wantEnd(t, "request_timeout")
			b.want(t, 0, 0, 0, 3, 0)
		})
	}
}

// TestReceiveCutsOffOldest shows that, of too many requests that do not arrive, the oldest is cut off for a new one,
// which is read, and that the pressure is logged every ten seconds at the most.
func TestReceiveCutsOffOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newReceiveTest(t, time.Minute)
		var all []*unread
		for range minArriving {
			all = append(all, b.arrive(t))
		}
		b.want(t, minArriving, minArriving*len("begin"), 0, 0, 0)
		for range 3 { // The first takes the place of the oldest, and leaves it to the others.
			good := b.arrive(t)
			_ = good.body.Close()
			good.wantEnd(t, "")
		}
		b.want(t, minArriving-1, (minArriving-1)*len("begin"), 1, 0, 0)
		for range 2 { // The first takes the place of the good ones, the second that of the next oldest.
			b.arrive(t)
		}
		b.want(t, minArriving, minArriving*len("begin"), 2, 0, 0)
		for i, want := range []string{"overloaded", "overloaded", arriving} {
			all[i].wantEnd(t, want)
		}
		const pressure = "requests are cut off while they arrive"
		lines := b.log.lines(t, pressure)
		if len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["arriving"] != float64(minArriving) {
			t.Errorf("the lines are %v", lines)
		}
		time.Sleep(pressureLogInterval - time.Nanosecond)
		b.arrive(t)
		before := len(b.log.lines(t, pressure))
		time.Sleep(time.Nanosecond)
		synctest.Wait() // Those of the beginning have timed out.
		for range minArriving {
			b.arrive(t)
		}
		if n := len(b.log.lines(t, pressure)); before != 1 || n != 2 {
			t.Errorf("%d lines before %v, and then %d", before, pressureLogInterval, n)
		}
		time.Sleep(RequestReadTimeout)
	})
}

// TestPublicRequests shows that requests to public methods evict each other and none of a caller, however many they are.
func TestPublicRequests(t *testing.T) {
	b := newReceiveTest(t, time.Minute)
	face := &testFace{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, maxPublicRequestBytes+1)))}
	add := func(public bool) *arrival { return b.requests.add(&Call{Method: &Method{Public: public}}, face) }
	caller, first := add(false), add(true)
	for range 2000 {
		add(true)
	}
	if got := errorType(first.arrived()); got != "overloaded" {
		t.Errorf("the first public request ends with %q", got)
	}
	if got := errorType(caller.arrived()); got != "" {
		t.Errorf("the request of a caller ends with %q", got)
	}
	if got := errorType(add(true).decode(face, nil)); got != "payload_too_large" {
		t.Errorf("a long public request ends with %q", got)
	}
}

// TestReceiveBoundsMemory shows that the bytes of all requests are bounded, those of calls in flight included.
func TestReceiveBoundsMemory(t *testing.T) {
	b := newReceiveTest(t, time.Minute)
	var calls []*arrival
	arrive := func(bytes int, want string) *arrival {
		t.Helper()
		a := b.buffer().add(func() {})
		if got := errorType(a.received(bytes)); got != want {
			t.Errorf("a request of %d bytes: error %q, want %q", bytes, got, want)
		}
		calls = append(calls, a)
		return a
	}
	const allButOne = minBufferBytes/MaxRequestBytes - 1
	for range allButOne {
		arrive(MaxRequestBytes, "").arrived()
	}
	oldest := arrive(MaxRequestBytes, "")
	b.want(t, 1, minBufferBytes, 0, 0, 0)
	arrive(8, "").release()
	if got := errorType(oldest.received(0)); got != "overloaded" {
		t.Errorf("the request that had been arriving for longest ends with %q", got)
	}
	b.want(t, 0, allButOne*MaxRequestBytes, 1, 0, 0)
	arrive(MaxRequestBytes, "").arrived()
	arrive(8, "overloaded").arrived()
	b.want(t, 0, minBufferBytes, 1, 0, 1)
	for _, a := range calls {
		a.release()
	}
	b.want(t, 0, 0, 1, 0, 1)
}
