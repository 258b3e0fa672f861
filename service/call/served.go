package call

import "google.golang.org/grpc"

// Served is a gRPC service and the faces that its methods are called through.
type Served struct {
	Description *grpc.ServiceDesc
	Faces       []string
}

// servedMethod is a method on one face, by its full name.
type servedMethod struct{ face, fullMethod string }

// methodsOf returns the methods of services with the type that each has in the label grpc_type.
func methodsOf(served []Served) map[servedMethod]string {
	kinds := map[servedMethod]string{}
	for _, s := range served {
		for _, face := range s.Faces {
			prefix := "/" + s.Description.ServiceName + "/"
			for _, method := range s.Description.Methods {
				kinds[servedMethod{face, prefix + method.MethodName}] = "unary"
			}
			for _, stream := range s.Description.Streams {
				kinds[servedMethod{face, prefix + stream.StreamName}] = kindOf(stream)
			}
		}
	}
	return kinds
}

func kindOf(stream grpc.StreamDesc) string {
	switch {
	case stream.ClientStreams && stream.ServerStreams:
		return "bidi_stream"
	case stream.ClientStreams:
		return "client_stream"
	default:
		return "server_stream"
	}
}
