package interceptor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/interceptor"
)

func TestRecovery(t *testing.T) {
	const secret = "seam_secret"
	for name, test := range map[string]struct {
		panics func()
		cause  string
	}{
		"error":         {func() { panic(errors.New(secret)) }, "panic with a value of type *errors.errorString"},
		"wrapped error": {func() { panic(fmt.Errorf("x: %w", errors.New(secret))) }, "panic with a value of type *fmt.wrapError"},
		"text":          {func() { panic(secret) }, "panic with a value of type string"},
		"struct":        {func() { panic(struct{ Token string }{secret}) }, "panic with a value of type struct { Token string }"},
		"nil":           {func() { panic(nil) }, "panic: panic called with nil argument"},
		"runtime: index": {func() {
			empty := []int{}
			_ = empty[len(secret)]
		}, "panic: runtime error: index out of range [11] with length 0"},
		"runtime: nil map": {func() {
			var m map[string]int
			m[secret] = 1 //nolint:staticcheck // This is the panic that is wanted.
		}, "panic: assignment to entry in nil map"},
		"runtime: conversion": {func() {
			var v any = secret
			_ = v.(int)
		}, "panic: interface conversion: interface {} is string, not int"},
	} {
		t.Run(name, func(t *testing.T) {
			logger, log := newLog(slog.LevelInfo)
			panics := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"})
			got, err := interceptor.Recovery(logger, panics)(t.Context(), nil, info(), func(context.Context, any) (any, error) {
				test.panics()
				return "response", nil
			})
			e := asError(t, err)
			if got != nil || e.GRPCCode() != codes.Internal || e.Type != "internal_server_error" || e.Message != "Internal error" {
				t.Errorf("response %v, error %+v", got, e)
			}
			line := log.only(t)
			if line["level"] != "ERROR" || line["msg"] != "panic" || line["method"] != method || line["cause"] != test.cause {
				t.Errorf("log is %v", line)
			}
			// The stack is there to find the bug: it must have the code that panicked.
			if stack, _ := line["stack"].(string); !strings.Contains(stack, "recovery_test.go") {
				t.Errorf("stack is %v", line["stack"])
			}
			if strings.Contains(log.String(), secret) || strings.Contains(e.Cause.Error(), secret) {
				t.Errorf("the value of the panic is logged: %s", log)
			}
			if n := count(t, panics); n != 1 {
				t.Errorf("%v panics were counted", n)
			}
		})
	}
}

func TestRecoveryWithoutPanic(t *testing.T) {
	logger, log := newLog(slog.LevelDebug)
	panics := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"})
	want := errors.New("error")
	got, err := interceptor.Recovery(logger, panics)(t.Context(), nil, info(), respond("response", want))
	if got != "response" || !errors.Is(err, want) {
		t.Errorf("response %v, error %v", got, err)
	}
	if log.Len() != 0 || count(t, panics) != 0 {
		t.Errorf("%v panics, log %s", count(t, panics), log)
	}
}

// A handler that ends its goroutine does not panic, so nothing is reported.
func TestRecoveryOfGoexit(t *testing.T) {
	logger, log := newLog(slog.LevelDebug)
	panics := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = interceptor.Recovery(logger, panics)(context.Background(), nil, info(), func(context.Context, any) (any, error) {
			runtime.Goexit()
			return nil, nil
		})
	}()
	<-ended
	if log.Len() != 0 || count(t, panics) != 0 {
		t.Errorf("%v panics, log %s", count(t, panics), log)
	}
}

func count(t *testing.T, counter prometheus.Counter) float64 {
	t.Helper()
	var metric dto.Metric
	if err := counter.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue()
}
