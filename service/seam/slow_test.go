package seam

import (
	"context"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// A call whose deadline leaves no time for an attempt as long as the last one ends with Seam's error, and not with a
// timeout.
func TestRetryThatCannotEndInTime(t *testing.T) {
	for deadline, want := range map[time.Duration]int{3 * time.Second: 1, 5 * time.Second: 2, time.Minute: 3} {
		t.Run(deadline.String(), func(t *testing.T) {
			seen := &seamtest.Stamps{}
			slow := func(w http.ResponseWriter, _ *http.Request) {
				seen.Add()
				time.Sleep(2 * time.Second)
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			inBubble(t, slow, func(t *testing.T, b bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				if _, err := b.call(ctx, GrantAccess()); err.GRPCCode() != codes.Unavailable || err.HTTPStatus != 503 {
					t.Errorf("error is %+v", err)
				}
				if seen.Len() != want {
					t.Errorf("%d requests, want %d", seen.Len(), want)
				}
			})
		})
	}
}
