package call

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// receiveTest is a request buffer with its log. Its limits are the minimum.
type receiveTest struct {
	*requestBuffer

	log *logLines
}

func newReceiveTest(maxTimeout time.Duration) *receiveTest {
	logger, log := newLog(slog.LevelInfo)
	return &receiveTest{newRequestBuffers(Config{
		Logger: logger, Registry: prometheus.NewRegistry(), MaxInFlight: 1, MaxTimeout: maxTimeout,
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
	}).authenticated, log}
}

// want fails unless so many requests are arriving, so many bytes are in memory, and so many requests were evicted, timed
// out and rejected.
func (b *receiveTest) want(t *testing.T, arriving, inMemory, evicted, timedOut, rejected int) {
	t.Helper()
	got := [...]float64{
		b.arriving(), b.inMemory(),
		count(t, b.evicted), count(t, b.timedOut), count(t, b.rejected),
	}
	want := [...]float64{float64(arriving), float64(inMemory), float64(evicted), float64(timedOut), float64(rejected)}
	if got != want {
		t.Errorf("arriving, bytes, evicted, timed out, rejected: %v, want %v", got, want)
	}
}

func (b *receiveTest) arrive() *arrival { return b.add(func() {}) }

// wantCut fails unless the request was cut off with an error of that type, or was not for an empty type.
func (a *arrival) wantCut(t *testing.T, errorType string) {
	t.Helper()
	if got := receiveErrorType(a.received(0)); got != errorType {
		t.Errorf("the request was cut off with the error %q, want %q", got, errorType)
	}
}

func receiveErrorType(err *seamerr.Error) string {
	if err == nil {
		return ""
	}
	return err.Type
}

// receiveFace is the face of a request with a body. It cannot decode a body of one byte.
type receiveFace struct {
	Face
	io.ReadCloser

	decoded []byte
}

func (f *receiveFace) Read(part []byte) (int, error) { return f.ReadCloser.Read(part) }

func (f *receiveFace) Cut() { _ = f.Close() }

func (f *receiveFace) Decode(body []byte, _ proto.Message) *seamerr.Error {
	f.decoded = bytes.Clone(body)
	if len(body) == 1 {
		return seamerr.InvalidMessage(nil)
	}
	return nil
}

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
			b, f := newReceiveTest(time.Minute), &receiveFace{ReadCloser: io.NopCloser(test.body)}
			a := b.add(f.Cut)
			if got := receiveErrorType(a.decode(f, nil)); got != test.want {
				t.Errorf("error is %q, want %q", got, test.want)
			}
			if f.decoded != nil {
				b.want(t, 0, len(f.decoded), 0, 0, 0) // The call is in flight.
			}
			if !bytes.Equal(f.decoded, long[:test.decoded]) {
				t.Errorf("decoded %d bytes, want %d as they came", len(f.decoded), test.decoded)
			}
			a.release()
			b.want(t, 0, 0, 0, 0, 0)
		})
	}
}

// TestReceiveEndsReading shows that a request which is cut off while its body is read ends with the reason for that,
// and not with the error of the read.
func TestReceiveEndsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ends := newReceiveTest(time.Minute), make(chan string)
		for range minArriving + 1 {
			body, from := io.Pipe()
			f := &receiveFace{ReadCloser: body}
			go func() {
				a := b.add(f.Cut)
				defer a.release()
				ends <- receiveErrorType(a.decode(f, nil))
			}()
			go func() { _, _ = from.Write([]byte("begin")) }()
		}
		got := map[string]int{<-ends: 1}
		synctest.Wait()
		b.want(t, minArriving, minArriving*len("begin"), 1, 0, 0)
		for range minArriving {
			got[<-ends]++
		}
		if want := fmt.Sprintf("map[overloaded:1 request_timeout:%d]", minArriving); fmt.Sprint(got) != want {
			t.Errorf("the requests ended with %v, want %v", got, want)
		}
		synctest.Wait()
		b.want(t, 0, 0, 1, minArriving, 0)
	})
}

// TestReceiveTimesOut shows that a request which does not arrive in time is cut off, each after its own timeout.
func TestReceiveTimesOut(t *testing.T) {
	pass := func(d time.Duration) {
		time.Sleep(d)
		synctest.Wait()
	}
	for maxTimeout, timeout := range map[time.Duration]time.Duration{
		time.Minute: RequestReadTimeout, 5 * time.Second: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newReceiveTest(maxTimeout)
			first := b.arrive()
			pass(4 * time.Second)
			second, inFlight := b.arrive(), b.arrive()
			if err := inFlight.arrived(); err != nil {
				t.Error(err)
			}
			for _, a := range []*arrival{first, second} {
				pass(timeout - time.Since(a.began) - time.Nanosecond)
				a.wantCut(t, "")
				pass(time.Nanosecond)
				a.wantCut(t, "request_timeout")
			}
			inFlight.wantCut(t, "")
			b.want(t, 0, 0, 0, 2, 0)
			third := b.arrive() // The timer starts anew.
			pass(timeout)
			third.wantCut(t, "request_timeout")
		})
	}
}

// TestReceiveCutsOffOldest shows that, of too many requests that do not arrive, the oldest is cut off for a new one,
// which is read, and that the pressure is logged every ten seconds at the most.
func TestReceiveCutsOffOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newReceiveTest(time.Minute)
		var unread []*arrival
		for range minArriving {
			unread = append(unread, b.arrive())
		}
		b.want(t, minArriving, 0, 0, 0, 0)
		for range 3 { // The first takes the place of the oldest, and leaves it to the others.
			good := b.arrive()
			good.wantCut(t, "")
			good.release()
		}
		b.want(t, minArriving-1, 0, 1, 0, 0)
		for range 2 { // The first takes the place of the good ones, the second that of the next oldest.
			b.arrive()
		}
		b.want(t, minArriving, 0, 2, 0, 0)
		for i, want := range []string{"overloaded", "overloaded", ""} {
			unread[i].wantCut(t, want)
		}
		if line := b.log.only(t); line["level"] != "WARN" || line["arriving"] != float64(minArriving) {
			t.Errorf("the line is %v", line)
		}
		time.Sleep(pressureLogInterval - time.Nanosecond)
		b.arrive()
		b.log.only(t)
		time.Sleep(time.Nanosecond)
		synctest.Wait() // Those of the beginning have timed out.
		for range minArriving {
			b.arrive()
		}
		if n := len(b.log.lines(t, "")); n != 2 {
			t.Errorf("%d lines after %v", n, pressureLogInterval)
		}
	})
}

// TestPublicRequests shows that requests to public methods evict each other and none of a caller, however many they are.
func TestPublicRequests(t *testing.T) {
	logger, _ := newLog(slog.LevelInfo)
	buffers := newRequestBuffers(Config{
		Logger: logger, Registry: prometheus.NewRegistry(), MaxInFlight: 1024, MaxTimeout: time.Minute,
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
	})
	face := &receiveFace{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, maxPublicRequestBytes+1)))}
	caller := buffers.add(&Call{Method: &Method{}}, face)
	first := buffers.add(&Call{Method: &Method{Public: true}}, face)
	for range 2000 {
		buffers.add(&Call{Method: &Method{Public: true}}, face)
	}
	if e := first.arrived(); receiveErrorType(e) != "overloaded" {
		t.Errorf("the first public request: %v", e)
	}
	if e := caller.arrived(); e != nil {
		t.Errorf("the request of a caller: %v", e)
	}
	public := buffers.add(&Call{Method: &Method{Public: true}}, face)
	if e := public.decode(face, nil); receiveErrorType(e) != "payload_too_large" {
		t.Errorf("a long public request: %v", e)
	}
}

// TestReceiveBoundsMemory shows that the bytes of all requests are bounded, those of calls in flight included.
func TestReceiveBoundsMemory(t *testing.T) {
	b := newReceiveTest(time.Minute)
	var calls []*arrival
	arrive := func(bytes int, want string) *arrival {
		t.Helper()
		a := b.add(func() {})
		if got := receiveErrorType(a.received(bytes)); got != want {
			t.Errorf("a request of %d bytes: error %q, want %q", bytes, got, want)
		}
		calls = append(calls, a)
		return a
	}
	const allButOne = minBufferBytes/MaxRequestBytes - 1
	for range allButOne {
		arrive(MaxRequestBytes, "").arrived()
	}
	unread := arrive(MaxRequestBytes, "")
	b.want(t, 1, minBufferBytes, 0, 0, 0)
	arrive(8, "").release()
	unread.wantCut(t, "overloaded")
	b.want(t, 0, allButOne*MaxRequestBytes, 1, 0, 0)
	arrive(MaxRequestBytes, "").arrived()
	arrive(8, "overloaded").arrived()
	b.want(t, 0, minBufferBytes, 1, 0, 1)
	for _, a := range calls {
		a.release()
	}
	b.want(t, 0, 0, 1, 0, 1)
}
