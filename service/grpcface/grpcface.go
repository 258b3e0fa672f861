// Package grpcface is the gRPC face: it turns the bytes of a call over gRPC into a call, and the response into bytes.
package grpcface

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/tap"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
)

const (
	// maxStreams bounds the calls in flight on one connection. Client libraries queue further ones.
	maxStreams = 100
	// windowBytes is the flow-control window, how much of a request a client may send before the service reads it: the
	// minimum of HTTP/2. It is fixed, since a window that grows with the bandwidth gives each stream megabytes.
	windowBytes = 64 << 10
	// maxStreamMessageBytes bounds a message of a stream. The largest is the name of a symbol or a file.
	maxStreamMessageBytes = 4 << 10
	// streamWorkers is how many goroutines are kept for calls. Such a goroutine has grown its stack already, which
	// otherwise costs a tenth of the CPU of a call. Calls beyond get a new one.
	streamWorkers = 256
)

// Config configures the gRPC face.
type Config struct {
	Calls *call.Server
	// Methods are those of ClientSessionService.
	Methods []*call.Method
	Health  healthv1.HealthServer
	// Reflection is true where the reflection service is served.
	Reflection bool
	// OpenStreams is the number of open streams on all connections. Each call is one.
	OpenStreams prometheus.Gauge
	// MaxHeaderBytes bounds the headers of a request.
	MaxHeaderBytes uint32
	// MaxConnectionAge is how old a connection gets before its client has to reconnect, 0 for no limit.
	MaxConnectionAge time.Duration
	// MaxTimeout is the maximum time of a call.
	MaxTimeout time.Duration
	// Options are further options of the server: those of TLS.
	Options []grpc.ServerOption
}

// face is the gRPC face.
type face struct {
	calls *call.Server
	// methods are all methods by their full names, and unknown stands for any other: a label with names that clients make
	// up would be unbounded.
	methods map[string]*call.Method
	unknown *call.Method
	open    prometheus.Gauge
}

// Served are the services whose calls the metrics count.
func Served() []call.Served {
	unknown := &grpc.ServiceDesc{ServiceName: "unknown", Methods: []grpc.MethodDesc{{MethodName: "unknown"}}}
	onGRPC, bothFaces := []string{call.FaceGRPC}, []string{call.FaceGRPC, call.FaceREST}
	return []call.Served{
		{Description: &clientsessionv1.ClientSessionService_ServiceDesc, Faces: bothFaces},
		{Description: &healthv1.Health_ServiceDesc, Faces: onGRPC},
		{Description: &reflectionv1.ServerReflection_ServiceDesc, Faces: onGRPC},
		{Description: &reflectionv1alpha.ServerReflection_ServiceDesc, Faces: onGRPC},
		{Description: unknown, Faces: onGRPC},
	}
}

// New returns the server of the gRPC face.
func New(config Config) *grpc.Server {
	f := &face{
		calls: config.Calls, open: config.OpenStreams,
		methods: map[string]*call.Method{}, unknown: &call.Method{FullMethod: "/unknown/unknown"},
	}
	server := grpc.NewServer(append(config.Options,
		grpc.InTapHandle(f.tap),
		grpc.StreamInterceptor(f.stream),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return f.serve(stream.Context(), nil)
		}),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)}),
		grpc.MaxHeaderListSize(config.MaxHeaderBytes),
		grpc.MaxRecvMsgSize(maxStreamMessageBytes), // Those of unary methods are read by unaryCall.
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(4*windowBytes),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// A load balancer that balances connections can rebalance a client's calls only when the client reconnects. The
			// grace is longer than the maximum time of a call.
			MaxConnectionAge: config.MaxConnectionAge, MaxConnectionAgeGrace: config.MaxTimeout + 10*time.Second,
			// A dead client is detected within a minute.
			Time: 40 * time.Second, Timeout: 20 * time.Second,
		}),
		// Clients commonly ping every 10 seconds, also without calls. By default grpc-go closes their connections.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.WaitForHandlers(true),
	)...)
	f.register(server, &healthv1.Health_ServiceDesc, config.Health,
		call.Unary(healthv1.Health_Check_FullMethodName, config.Health.Check),
		call.Unary(healthv1.Health_List_FullMethodName, config.Health.List))
	f.register(server, &clientsessionv1.ClientSessionService_ServiceDesc, nil, config.Methods...)
	if config.Reflection {
		reflection.Register(server)
	}
	for name, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			fullMethod := "/" + name + "/" + method.Name
			if f.methods[fullMethod] == nil {
				f.methods[fullMethod] = &call.Method{FullMethod: fullMethod, Stream: true}
			}
			// By the server's own table of services, so that no spelling of a path gets around it.
			f.methods[fullMethod].Public = name == healthv1.Health_ServiceDesc.ServiceName
			f.methods[fullMethod].Reflection = name == reflectionv1.ServerReflection_ServiceDesc.ServiceName ||
				name == reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName
		}
	}
	return server
}

// tap gets the headers of each stream first, and begins its call. It returns no error: after one, grpc-go does not
// cancel the context of the stream, which stays in memory until the deadline of the client.
func (f *face) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	c := &call.Call{Face: call.FaceGRPC, Metadata: info.Header, Method: f.methods[info.FullMethodName]}
	if c.Method == nil {
		c.Method = f.unknown
	}
	if from, ok := peer.FromContext(ctx); ok {
		c.Peer = *from
	}
	begun := f.calls.Begin(ctx, c)
	if path, rooted := strings.CutPrefix(info.FullMethodName, "/"); !rooted || !strings.Contains(path, "/") {
		_ = f.serve(begun, nil) // It logs and counts the call. grpc-go refuses such a path by itself.
		return ctx, nil
	}
	return begun, nil
}

// serve serves the call of a context, and writes the error of one that fails.
func (f *face) serve(ctx context.Context, x call.Face) error {
	f.open.Inc()
	defer f.open.Dec()
	c := call.FromContext(ctx)
	failure := f.calls.Serve(ctx, c, x)
	if failure == nil {
		return nil
	}
	_ = grpc.SetTrailer(ctx, c.ResponseMetadata(failure)) // It fails only in the tap, where there is no trailer as yet.
	return failure
}

// stream serves a method that is a stream, and not a unary method served as one.
func (f *face) stream(
	service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	if !call.FromContext(stream.Context()).Method.Stream {
		return handler(service, stream)
	}
	return f.serve(stream.Context(), streamCall{stream: stream, run: func(stream grpc.ServerStream) error {
		return handler(service, stream)
	}})
}
