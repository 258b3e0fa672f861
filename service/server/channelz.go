package server

import (
	"net/http"

	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/service"
)

// addChannelz serves gRPC's channelz at the admin listener, over HTTP/2 without TLS. It is not on the gRPC face, where
// whoever may call, in pass-through mode anybody, could see the addresses of all the others.
func addChannelz(mux *http.ServeMux, server *http.Server) {
	service := grpc.NewServer()
	channelz.RegisterChannelzServiceToServer(service)
	mux.Handle("POST /grpc.channelz.v1.Channelz/", service)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
}
