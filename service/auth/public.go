package auth

import "strings"

// IsPublic reports whether a method, by its full name, needs no credential whatever the configuration: load balancers
// check health without one. The full name is the one in the server's own table of methods, so no spelling of a path
// gets around this.
func IsPublic(fullMethod string) bool {
	switch fullMethod {
	case "/grpc.health.v1.Health/Check",
		"/grpc.health.v1.Health/List",
		"/grpc.health.v1.Health/Watch":
		return true
	}
	return false
}

// isReflection reports whether a method is that of the reflection service, which reveals the contract and nothing else.
func isReflection(fullMethod string) bool {
	return strings.HasPrefix(fullMethod, "/grpc.reflection.v1.ServerReflection/") ||
		strings.HasPrefix(fullMethod, "/grpc.reflection.v1alpha.ServerReflection/")
}
