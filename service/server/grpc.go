package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// maxStreams bounds the calls in flight on one connection. Client libraries queue further ones.
	maxStreams = 100
	// windowBytes is the flow-control window, how much of a request a client may send before the service reads it: the
	// minimum of HTTP/2. It is fixed, since a window that grows with the bandwidth gives each stream megabytes.
	windowBytes = 64 << 10
	// streamWorkers is how many goroutines are kept for calls. Such a goroutine has grown its stack already, which
	// otherwise costs a tenth of the CPU of a call. Calls beyond get a new one.
	streamWorkers = 256
)

// grpcFace is the gRPC face.
type grpcFace struct {
	// unknown is the chain of a call of an unknown method, streams that of a stream.
	unknown grpc.UnaryHandler
	streams []grpc.UnaryServerInterceptor
	// defaultTimeout and maxTimeout bound the time of a call.
	defaultTimeout, maxTimeout time.Duration
	// names are the full names of the streaming methods.
	names map[string]bool
	// open is the number of open streams on all connections. Each call is one.
	open prometheus.Gauge
}

// unknownMethod stands for every unknown method, since a label with names that clients make up is unbounded.
const unknownMethod = "/unknown/unknown"

// servedServices are the services whose calls the metrics count.
func servedServices() []interceptor.Served {
	unknown := &grpc.ServiceDesc{ServiceName: "unknown", Methods: []grpc.MethodDesc{{MethodName: "unknown"}}}
	onGRPC, bothFaces := []string{callinfo.FaceGRPC}, []string{callinfo.FaceGRPC, callinfo.FaceREST}
	return []interceptor.Served{
		{Description: &clientsessionv1.ClientSessionService_ServiceDesc, Faces: bothFaces},
		{Description: &healthv1.Health_ServiceDesc, Faces: onGRPC},
		{Description: &reflectionv1.ServerReflection_ServiceDesc, Faces: onGRPC},
		{Description: &reflectionv1alpha.ServerReflection_ServiceDesc, Faces: onGRPC},
		{Description: unknown, Faces: onGRPC},
	}
}

// newGRPC returns the server of the gRPC face.
func (s *Server) newGRPC(
	cfg config.Config, steps steps, methods []interceptor.Method, m *metrics,
) *grpc.Server {
	f := &grpcFace{
		unknown: interceptor.Bind(steps.unknown, &grpc.UnaryServerInfo{FullMethod: unknownMethod},
			func(context.Context, any) (any, error) { return nil, seamerr.UnknownMethod() }),
		defaultTimeout: cfg.DefaultTimeout, maxTimeout: cfg.MaxTimeout,
		streams: steps.stream, names: map[string]bool{}, open: m.openStreams,
	}
	server := grpc.NewServer(append(s.certificates.grpcOptions(s.logger),
		grpc.InTapHandle(f.tapStream),
		grpc.StreamInterceptor(f.stream),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return f.refuseUnknown(stream.Context())
		}),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(4*windowBytes),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// A load balancer that balances connections can rebalance a client's calls only when the client reconnects. The
			// grace is longer than the maximum time of a call.
			MaxConnectionAge: cfg.MaxConnectionAge, MaxConnectionAgeGrace: cfg.MaxTimeout + 10*time.Second,
			// A dead client is detected within a minute.
			Time: 40 * time.Second, Timeout: 20 * time.Second,
		}),
		// Clients commonly ping every 10 seconds, also without calls. By default grpc-go closes their connections.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.WaitForHandlers(true),
	)...)
	healthMethods := interceptor.BindMethods(steps.call, &healthv1.Health_ServiceDesc, s.health)
	server.RegisterService(f.unaryAsStreams(&healthv1.Health_ServiceDesc, healthMethods), s.health)
	server.RegisterService(f.unaryAsStreams(&clientsessionv1.ClientSessionService_ServiceDesc, methods), nil)
	if cfg.Reflection != config.ReflectionOff {
		reflection.Register(server)
	}
	for name, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			if method.IsServerStream || method.IsClientStream {
				f.names["/"+name+"/"+method.Name] = true
			}
		}
	}
	return server
}

// stream runs the chain for streams, for a method that is a stream and not a unary method served as one.
func (f *grpcFace) stream(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	f.open.Inc()
	defer f.open.Dec()
	if !f.names[info.FullMethod] {
		return handler(service, stream) // A unary method has its own chain, and an unknown one is refused.
	}
	call := interceptor.Bind(f.streams, &grpc.UnaryServerInfo{Server: service, FullMethod: info.FullMethod},
		func(ctx context.Context, _ any) (any, error) {
			if s, ok := grpc.ServerTransportStreamFromContext(ctx).(compressedStream); !ok || isCompressed(s) {
				return nil, seamerr.Unsupported("Compression of messages")
			}
			return nil, handler(service, stream)
		})
	_, err := call(stream.Context(), nil)
	return err
}

// refuseUnknown refuses a call of an unknown method, with the log and the metrics of any call.
func (f *grpcFace) refuseUnknown(ctx context.Context) error {
	_, err := f.unknown(ctx, nil)
	return err
}
