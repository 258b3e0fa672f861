package call

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxStreams is how many streams may be open at once, on all connections together. They need no credential and have no
// end, and each costs some 13 KB.
const maxStreams = 256

// streams limits the number of streams and their lifetime. They are those of the health and reflection services, have
// no end of their own and need no credential: a drain that waited for them would never end.
type streams struct {
	slots    chan struct{}
	lifetime time.Duration
	// end ends when streams have to.
	end     context.Context //nolint:containedctx // It is the server's and no call's.
	refused prometheus.Counter
}

// serve serves a stream. It cancels the stream's call at the end of its lifetime, which ends a read and a write.
func (s *streams) serve(ctx context.Context, c *Call, f Face) *seamerr.Error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.refused.Inc()
		return s.refusal(c)
	}
	drain := context.AfterFunc(s.end, c.Cancel) //nolint:contextcheck // It is the server's and no call's.
	defer drain()
	lifetime := time.AfterFunc(s.lifetime, c.Cancel)
	defer lifetime.Stop()
	err := f.Respond(ctx, nil)
	switch {
	case !drain():
		return seamerr.StreamEnded("the server is draining", errors.New("drain"))
	case !lifetime.Stop():
		return seamerr.StreamEnded("the stream has reached its maximum age", nil)
	default:
		return seamerr.From(err)
	}
}

// refusal refuses a stream beyond the limit. A client library that watches the health then goes on without, and takes
// the server for healthy: with any other code it would fail each of its calls.
func (s *streams) refusal(c *Call) *seamerr.Error {
	if c.Method.Public {
		return seamerr.Unsupported("Another health watch")
	}
	return tooManyRequests("too many streams are open")
}
