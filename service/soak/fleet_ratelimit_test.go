//go:build fleet

package soak_test

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestFleetRateLimit shows what the pieces of deploy/envoy/ratelimit.yaml do: all calls of both faces together are bounded,
// a call beyond ends with the code that stands for Seam's own limit, and without the rate limit service all calls pass.
func TestFleetRateLimit(t *testing.T) {
	const (
		limit          = 100 // calls a second
		during, margin = 5 * time.Second, 2 * time.Second
	)
	service := startRateLimits(t, limit)
	f := startFleetBehind(t, servicetest.Binary(t), withRateLimit(t), map[string]string{rateLimitGRPC: service.port})
	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(during)
	calls := stop()
	f.t.Logf("at a limit of %d calls a second for both faces:\n%s", limit, calls.that().table())
	most, least := limit*int((during+margin).Seconds()), limit*int((during-margin).Seconds())
	if n := len(calls.that(ok)); n > most || n < least {
		t.Errorf("%d calls are let through in %s", n, during)
	}
	refusals := map[string]reply{
		faceGRPC: {outcome: codes.ResourceExhausted.String()},
		faceREST: {outcome: "429", kind: "too_many_requests", retryAfter: time.Second},
	}
	for face, want := range refusals {
		refused := calls.that(over(face), not(ok))
		other := calls.that(over(face), not(ok), func(r record) bool {
			return r.reply.outcome != want.outcome || r.reply.kind != want.kind || r.reply.retryAfter != want.retryAfter
		})
		if len(refused) == 0 || len(other) > 0 {
			t.Errorf("%s: %d calls are refused, %d of them otherwise, such as:\n%s", face, len(refused), len(other), other.examples())
		}
	}
	service.stop()
	stop = f.load(fleetDeadline)
	time.Sleep(margin)
	calls = stop()
	f.report(calls, began)
	if failed := calls.that(not(ok)); len(failed) > 0 {
		t.Errorf("without the rate limit service %d calls fail, such as:\n%s", len(failed), failed.examples())
	}
}

// withRateLimit puts the pieces into the configuration of Envoy.
func withRateLimit(t *testing.T) string {
	t.Helper()
	type object = map[string]any
	var config, pieces object
	if err := errors.Join(yaml.Unmarshal([]byte(envoyFile(t, "envoy.yaml")), &config),
		yaml.Unmarshal([]byte(envoyFile(t, "ratelimit.yaml")), &pieces)); err != nil {
		t.Fatal(err)
	}
	resources := config["static_resources"].(object)
	for _, listener := range resources["listeners"].([]any) {
		filter := listener.(object)["filter_chains"].([]any)[0].(object)["filters"].([]any)[0].(object)
		manager := filter["typed_config"].(object)
		manager["http_filters"] = slices.Concat(pieces["http_filters"].([]any), manager["http_filters"].([]any))
		manager["route_config"].(object)["virtual_hosts"].([]any)[0].(object)["rate_limits"] = pieces["rate_limits"]
		replies := manager["local_reply_config"].(object)
		mappers := pieces[manager["stat_prefix"].(string)+"_mappers"].([]any)
		replies["mappers"] = slices.Concat(mappers, replies["mappers"].([]any))
	}
	resources["clusters"] = slices.Concat(resources["clusters"].([]any), pieces["clusters"].([]any))
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rateLimits stands in for the rate limit service: it lets so many calls through in each second.
type rateLimits struct {
	port   string
	server *grpc.Server
}

func startRateLimits(t *testing.T, perSecond int64) *rateLimits {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var second, count atomic.Int64
	s := &rateLimits{server: grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(
		func(_ any, stream grpc.ServerStream) error {
			if method, _ := grpc.MethodFromServerStream(stream); method != "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit" {
				return status.Error(codes.Unimplemented, method)
			}
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			if now := time.Now().Unix(); second.Swap(now) != now {
				count.Store(0)
			}
			// RateLimitResponse.overall_code: OK is 1, OVER_LIMIT is 2.
			code := byte(1)
			if count.Add(1) > perSecond {
				code = 2
			}
			return stream.SendMsg([]byte{1 << 3, code})
		}))}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	go func() { _ = s.server.Serve(listener) }()
	t.Cleanup(s.stop)
	return s
}

func (s *rateLimits) stop() { s.server.Stop() }

// rawCodec leaves messages as they are, so that the test needs none of Envoy's own.
type rawCodec struct{}

func (rawCodec) Marshal(message any) ([]byte, error) { return message.([]byte), nil }

func (rawCodec) Unmarshal(text []byte, message any) error {
	*message.(*[]byte) = slices.Clone(text)
	return nil
}

func (rawCodec) Name() string { return "raw" }
