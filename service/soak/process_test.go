//go:build soak || fleet

// Package soak_test runs the service as it runs in production, a process of its own that real clients call over
// loopback, for longer and under more load than a unit test may take: `make soak`. Each test states what it holds the
// service to and prints what it measured.
package soak_test

import (
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

type process = servicetest.Process

// startService runs the service against that Seam. It finds free ports, unless the flags say other addresses.
func startService(t *testing.T, seam *seam, flags ...string) *process {
	t.Helper()
	return servicetest.StartReady(t, slices.Concat(servicetest.Listen(), []string{"--pprof"}, seam.flags, flags)...)
}

// listenAgain are flags by which a process can be started again at the same addresses. Their ports are not those that
// the kernel gives to outgoing connections: while the port is closed, a client that dials could be given the very port
// it dials, and would be connected to itself.
func listenAgain(t *testing.T) []string {
	t.Helper()
	free := func() string { return net.JoinHostPort("127.0.0.1", freePort(t)) }
	return []string{"--grpc-listen", free(), "--http-listen", free(), "--admin-listen", free()}
}

// freePort returns such a port, which is free at all addresses of the machine.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		listener, err := net.Listen("tcp", ":"+port)
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}
