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

// startService runs the service against that Seam, at the addresses.
func startService(t *testing.T, seam *seam, at servicetest.Addresses, flags ...string) *process {
	t.Helper()
	return servicetest.StartReady(t, slices.Concat([]string{
		"--grpc-listen", at.GRPC, "--http-listen", at.HTTP, "--admin-listen", at.Admin, "--pprof",
	}, seam.flags, flags)...)
}

// anywhere lets the service find free ports.
func anywhere() servicetest.Addresses {
	return servicetest.Addresses{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Admin: "127.0.0.1:0"}
}

// fixedAddresses returns addresses that a process can be started on again. Their ports are not those that the kernel
// gives to outgoing connections: while the port is closed, a client that dials could be given the very port it dials,
// and would be connected to itself.
func fixedAddresses(t *testing.T) servicetest.Addresses {
	t.Helper()
	free := func() string { return net.JoinHostPort("127.0.0.1", freePort(t)) }
	return servicetest.Addresses{GRPC: free(), HTTP: free(), Admin: free()}
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
