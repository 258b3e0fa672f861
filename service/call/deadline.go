package call

import (
	"context"
	"time"
)

// responseMargin is how long before the caller's deadline a call ends here, at most. At the deadline itself grpc-go
// resets the stream, which clients in several languages report as CANCELLED, so the response has to be sent before.
const responseMargin = 20 * time.Millisecond

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
