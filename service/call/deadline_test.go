package call

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline shows how long a call has, and that only a stream has no deadline.
func TestDeadline(t *testing.T) {
	const none = time.Duration(0)
	for name, test := range map[string]struct {
		method          Method
		fallback, limit time.Duration
		callers, want   time.Duration
	}{
		"caller set none":            {Method{}, 30 * time.Second, 60 * time.Second, none, 30 * time.Second},
		"caller's is shorter":        {Method{}, 30 * time.Second, 60 * time.Second, 5 * time.Second, 4900 * time.Millisecond},
		"caller's is longer":         {Method{}, 30 * time.Second, 60 * time.Second, 45 * time.Second, 44900 * time.Millisecond},
		"caller's is very short":     {Method{}, 30 * time.Second, 60 * time.Second, 100 * time.Millisecond, 90 * time.Millisecond},
		"caller's is too long":       {Method{}, 30 * time.Second, 60 * time.Second, 24 * time.Hour, 60 * time.Second},
		"fallback is over the limit": {Method{}, 90 * time.Second, 60 * time.Second, none, 60 * time.Second},
		"stream":                     {Method{Stream: true}, 30 * time.Second, 60 * time.Second, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			// In a bubble time stands still while anything runs, so the deadline can be compared exactly.
			synctest.Test(t, func(t *testing.T) {
				ctx, start := t.Context(), time.Now()
				if test.callers != none {
					limited, cancel := context.WithTimeout(ctx, test.callers)
					defer cancel()
					ctx = limited
				}
				c := &Call{Method: &test.method}
				ctx = (&Server{defaultTimeout: test.fallback, maxTimeout: test.limit}).Begin(ctx, c)
				if FromContext(ctx) != c {
					t.Error("the context has no record of the call")
				}
				if at, ok := ctx.Deadline(); ok != (test.want != none) || ok && at.Sub(start) != test.want {
					t.Errorf("the deadline is after %s (%t), want %s", at.Sub(start), ok, test.want)
				}
				c.Cancel()
				if ctx.Err() == nil {
					t.Error("the context does not end with the call")
				}
			})
		})
	}
}
