package auth

import (
	"google.golang.org/grpc"

	"github.com/clientsession/service/service/seamerr"
)

// Exempt says whether a method, by its full name, needs no credential: what load balancers and tools ask before they
// know anyone, and what tells nothing that the contract does not. Every other method is refused without one. The full
// name is the one in the server's own table of methods, so no spelling of a path gets around this.
func Exempt(fullMethod string) bool {
	switch fullMethod {
	case "/grpc.health.v1.Health/Check",
		"/grpc.health.v1.Health/List",
		"/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo":
		return true
	}
	return false
}

// Stream is the interceptor for streams. The contract has none, so one that is not exempt is nobody's.
func Stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !Exempt(info.FullMethod) {
		return seamerr.Unauthorized()
	}
	return handler(service, stream)
}
