package call

import (
	"context"
	"time"
)

// responseMargin is how long before the caller's deadline a call ends here, at most. The response has to arrive before
// the deadline: else the client ends the call itself, and nobody tells the caller the reason and the ids. The client's
// time also runs while it connects, and on the way.
const responseMargin = 100 * time.Millisecond

// timeout returns how long a call may take: until the caller's own deadline, but no longer than limit, and fallback for
// a caller that set none.
func timeout(ctx context.Context, fallback, limit time.Duration) time.Duration {
	deadline, set := ctx.Deadline()
	if !set {
		return min(fallback, limit)
	}
	remaining := time.Until(deadline)
	return min(remaining-min(responseMargin, remaining/10), limit)
}
