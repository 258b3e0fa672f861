package interceptor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
)

func TestDeadline(t *testing.T) {
	const none = time.Duration(0)
	for name, test := range map[string]deadlineCase{
		"caller set none":            {30 * time.Second, 60 * time.Second, none, 30 * time.Second},
		"caller's is shorter":        {30 * time.Second, 60 * time.Second, 5 * time.Second, 5*time.Second - 20*time.Millisecond},
		"caller's is longer":         {30 * time.Second, 60 * time.Second, 45 * time.Second, 45*time.Second - 20*time.Millisecond},
		"caller's is very short":     {30 * time.Second, 60 * time.Second, 100 * time.Millisecond, 90 * time.Millisecond},
		"caller's is too long":       {30 * time.Second, 60 * time.Second, 24 * time.Hour, 60 * time.Second},
		"fallback is over the limit": {90 * time.Second, 60 * time.Second, none, 60 * time.Second},
	} {
		test.run(t, name, func(ctx context.Context, _ *callinfo.Call) context.Context { return ctx })
		test.run(t, name+", set before the steps", func(ctx context.Context, call *callinfo.Call) context.Context {
			return interceptor.WithDeadline(ctx, call, test.fallback, test.limit)
		})
	}
}

type deadlineCase struct{ fallback, limit, callers, want time.Duration }

// run makes a call with the context that before makes of the caller's.
func (test deadlineCase) run(t *testing.T, name string, before func(context.Context, *callinfo.Call) context.Context) {
	t.Run(name, func(t *testing.T) {
		// In a bubble time stands still while anything runs, so the deadline can be compared exactly.
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if test.callers != 0 {
				limited, cancel := context.WithTimeout(ctx, test.callers)
				defer cancel()
				ctx = limited
			}
			start := time.Now()
			call := &callinfo.Call{}
			ctx = before(callinfo.NewContext(ctx, call), call)
			if call.Cancel != nil {
				defer call.Cancel()
			}
			var inner context.Context
			_, err := interceptor.Deadline(test.fallback, test.limit)(ctx, nil, info(), func(ctx context.Context, _ any) (any, error) {
				inner = ctx
				<-ctx.Done() // As a handler does that waits for Seam in vain.
				return nil, ctx.Err()
			})
			if took := time.Since(start); took != test.want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the call ended after %s with %v, want %s", took, err, test.want)
			}
			if at, ok := inner.Deadline(); !ok || at.Sub(start) != test.want {
				t.Errorf("deadline is %s, %t", at.Sub(start), ok)
			}
		})
	})
}

// The context ends with the call, so that nothing that the handler started outlives it.
func TestDeadlineEndsWithTheCall(t *testing.T) {
	var inner context.Context
	got, err := interceptor.Deadline(time.Hour, time.Hour)(t.Context(), "request", info(), func(ctx context.Context, request any) (any, error) {
		inner = ctx
		return request, ctx.Err()
	})
	if got != "request" || err != nil {
		t.Errorf("response %v, error %v", got, err)
	}
	if !errors.Is(inner.Err(), context.Canceled) {
		t.Errorf("the context of the handler is %v after the call", inner.Err())
	}
}
