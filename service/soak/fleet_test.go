//go:build fleet

package soak_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

const (
	// fleetRate is the calls a second on each face.
	fleetRate = 200
	// fleetSeamDelay is how long Seam takes, so that calls are in flight at every moment.
	fleetSeamDelay = 100 * time.Millisecond
	// fleetDeadline is how long clients wait.
	fleetDeadline = 20 * time.Second
)

// fleet is some replicas behind Envoy, with a Seam, and clients that call through Envoy. No client retries.
type fleet struct {
	t *testing.T
	// program is what the next replica runs.
	program string

	seam  *seam
	names *nameServer
	envoy *envoy
	// ports are those of all replicas, by the port that the configuration of Envoy has.
	ports    map[string]string
	replicas map[string]*process
	clients  *caller
	// used is what the processors had done when the load began.
	used processors
}

// replica is the address of a replica: each has one of its own, and all have the same ports, as in Kubernetes.
func replica(i int) string { return fmt.Sprintf("127.99.0.%d", i) }

// startFleet starts three replicas of the service behind Envoy.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	return startFleetBehind(t, servicetest.Binary(t), envoyFile(t, "envoy.yaml"), nil)
}

// startFleetBehind does the same with a program and a configuration of Envoy, and ports that this has besides.
func startFleetBehind(t *testing.T, program, configuration string, ports map[string]string) *fleet {
	t.Helper()
	f := &fleet{t: t, program: program, seam: startSeam(t), names: startNames(t), ports: map[string]string{}, replicas: map[string]*process{}}
	f.seam.inject(t, sandbox.Fault{Delay: fleetSeamDelay})
	for _, port := range []string{envoyGRPC, envoyREST, envoyAdmin, replicaGRPC, replicaREST, replicaAdmin} {
		free := freePort(t)
		for slices.Contains(slices.Collect(maps.Values(f.ports)), free) {
			free = freePort(t)
		}
		f.ports[port] = free
	}
	maps.Copy(f.ports, ports)
	for i := range 3 {
		f.start(replica(i + 1))
	}
	f.envoy = startEnvoy(t, configuration, f.names, f.ports)
	f.envoy.await(t, f.running()...)
	f.clients = newCaller(t, servicetest.Addresses{
		GRPC: net.JoinHostPort("127.0.0.1", f.ports[envoyGRPC]), HTTP: net.JoinHostPort("127.0.0.1", f.ports[envoyREST]),
	}, 4, grpc.WithDisableRetry())
	return f
}

// start starts a replica, and its address gets into DNS when it is ready.
func (f *fleet) start(address string) {
	f.t.Helper()
	f.startAt(address)
	f.names.add(address)
}

// startAt starts a replica with its default settings, but that its connections are replaced all the time.
func (f *fleet) startAt(address string) {
	f.t.Helper()
	command := exec.Command(f.program, append(f.seam.flags,
		"--grpc-listen", net.JoinHostPort(address, f.ports[replicaGRPC]),
		"--http-listen", net.JoinHostPort(address, f.ports[replicaREST]),
		"--admin-listen", net.JoinHostPort(address, f.ports[replicaAdmin]),
		"--max-connection-age", "5s")...)
	command.Env = []string{}
	p := servicetest.Start(f.t, command)
	p.AwaitReady()
	f.replicas[address] = p
}

// kill ends a replica without any drain, and returns when it is gone.
func (f *fleet) kill(address string) {
	f.t.Helper()
	f.replicas[address].Kill()
	delete(f.replicas, address)
}

// stop drains a replica, which has to end with exit code 0.
func (f *fleet) stop(address string) time.Duration {
	f.t.Helper()
	took := f.replicas[address].Stop()
	delete(f.replicas, address)
	return took
}

// running are the addresses of the replicas.
func (f *fleet) running() []string { return slices.Sorted(maps.Keys(f.replicas)) }

// fleetCall is the call that clients make in turn. A Create without a user identifier is the one that nobody may
// send twice.
func fleetCall(i int) (rpc, proto.Message, proto.Message) {
	slashes := strings.Repeat("/", 1+i%2) // Some clients join URLs so.
	switch i % 10 {
	case 0, 1:
		return rpc{"Create", slashes + "client_sessions/create"}, &clientsessionv1.CreateRequest{}, &clientsessionv1.CreateResponse{}
	case 2, 3, 4:
		in := &clientsessionv1.GetRequest{ClientSessionId: proto.String(sandbox.SessionID)}
		return rpc{"Get", slashes + "client_sessions/get"}, in, &clientsessionv1.GetResponse{}
	case 5:
		in := &clientsessionv1.ListRequest{UserIdentifierKey: proto.String(sandbox.UserIdentifierKey)}
		return rpc{"List", "/client_sessions/list"}, in, &clientsessionv1.ListResponse{}
	default:
		return grantAccess(), grant(), &clientsessionv1.GrantAccessResponse{}
	}
}

// load calls both faces until it is stopped, and returns what the calls were.
func (f *fleet) load(restDeadline time.Duration) (stop func() *tally) {
	f.used = readProcessors(f.t, f.seam.process, f.envoy.process)
	var calls tally
	var faces sync.WaitGroup
	stopping := make(chan struct{})
	for face, deadline := range map[string]time.Duration{faceGRPC: fleetDeadline, faceREST: restDeadline} {
		faces.Go(func() {
			openLoop(stopping, fleetRate, func(i int) {
				call, in, out := fleetCall(i)
				calls.measure(record{face: face, rpc: call.name}, func() reply {
					ctx, cancel := context.WithTimeout(context.Background(), deadline)
					defer cancel()
					return f.clients.call(ctx, face, call, in, out)
				})
			})
		})
	}
	return func() *tally {
		close(stopping)
		faces.Wait()
		return &calls
	}
}

// end stops Envoy, which then writes the rest of its access log, and the replicas, without their drain.
func (f *fleet) end() {
	f.t.Helper()
	f.envoy.Stop()
	for _, address := range f.running() {
		f.kill(address)
	}
}

// report prints what the clients got, and what Envoy did for that.
func (f *fleet) report(calls *tally, since time.Time) []forwarded {
	f.t.Helper()
	all := calls.that()
	f.t.Logf("%d calls; %s:\n%s", len(all), f.used.use(f.t), all.table())
	f.end()
	lines := f.envoy.forwarded(f.t, since)
	var retried []forwarded
	served := map[string]int{}
	for _, line := range lines {
		address, _, _ := strings.Cut(line.Replica, ":")
		served[address]++
		if line.Attempts > 1 {
			retried = append(retried, line)
		}
	}
	f.t.Logf("Envoy forwarded %d calls and retried %d of them; by replica: %v", len(lines), len(retried), served)
	return lines
}
