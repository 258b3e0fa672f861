package server_test

import (
	"net/http"
	"testing"

	"google.golang.org/grpc"
	channelzv1 "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
)

// channelz asks for the servers of the process.
func (h *harness) channelz(address string, options ...grpc.DialOption) (*channelzv1.GetServersResponse, error) {
	h.t.Helper()
	conn, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	return channelzv1.NewChannelzClient(conn).GetServers(h.t.Context(), &channelzv1.GetServersRequest{})
}

// TestChannelz shows that channelz is at the admin listener where it is asked for, by the names that the listener accepts,
// and never on the gRPC face, where it would tell each caller the addresses of the others.
func TestChannelz(t *testing.T) {
	t.Parallel()
	off, on := start(t), start(t, func(cfg *config.Config) { cfg.Channelz = true })
	if _, err := off.channelz(off.at.Admin); err == nil {
		t.Error("it is served where it is off")
	}
	if _, err := on.channelz(on.at.GRPC); status.Code(err) != codes.Unimplemented {
		t.Errorf("on the gRPC face: %v", err)
	}
	if _, err := on.channelz(on.at.Admin, grpc.WithAuthority("evil.example")); status.Code(err) != codes.PermissionDenied {
		t.Errorf("by another name: %v", err)
	}
	got, err := on.channelz(on.at.Admin)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, server := range got.GetServer() {
		for _, socket := range server.GetListenSocket() {
			found = found || socket.GetName() == on.at.GRPC
		}
	}
	if !found {
		t.Errorf("the gRPC face is not among the servers: %v", got)
	}
	if code, _ := on.admin("/metrics"); code != http.StatusOK { // Over HTTP/1, beside channelz.
		t.Errorf("the metrics get %d", code)
	}
}
