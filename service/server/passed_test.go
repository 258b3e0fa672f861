package server_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestPassedHeaders shows that both faces pass on headers of Seam's response, with a success and with an error. A
// client of gRPC that accepts 8 KiB of headers gets the longest of them with the longest details.
func TestPassedHeaders(t *testing.T) {
	t.Parallel()
	h := start(t)
	long := strings.Repeat("x", 200)
	violations := `"_errors":["` + strings.Repeat(long+`","`, 12) + long + `"]`
	for name, fault := range map[string]sandbox.Fault{
		"success": {Status: 200, Body: `{"ok":true}`},
		"error": {Status: 400, Body: `{"error":{"type":"` + long[:64] + `","message":"` + strings.Repeat("\u20ac", 200) + `","data":{"a":"` +
			long + long + `"},"validation_errors":{"` + long + `":{` + violations + `}}}}`},
	} {
		fault.Times = 2
		fault.Header = map[string]string{
			"RateLimit-Remaining": "7", "Link": "<" + strings.Repeat("x", 900) + ">", "Set-Cookie": "a=b", "X-Other": "1",
			"Seam-Request-Id": strings.Repeat("r", 128),
		}
		h.inject(fault)
		got := h.grant(byID)
		for header, want := range map[string]string{"Ratelimit-Remaining": "7", "Set-Cookie": "", "X-Other": ""} {
			if got.status != fault.Status || got.header.Get(header) != want {
				t.Errorf("%s over REST: %d with %s %q", name, got.status, header, got.header.Get(header))
			}
		}
		var header, trailer metadata.MD
		conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithMaxHeaderListSize(8<<10))
		if err != nil {
			t.Fatal(err)
		}
		client := clientsessionv1.NewClientSessionServiceClient(conn)
		ctx := metadata.AppendToOutgoingContext(authorized(t), "x-request-id", strings.Repeat("i", 128))
		_, err = client.GrantAccess(ctx, grantByID(), grpc.Header(&header), grpc.Trailer(&trailer))
		_ = conn.Close()
		md := metadata.Join(header, trailer)
		want := []string{fault.Header["Link"]}
		if (err == nil) != (fault.Status == http.StatusOK) || !reflect.DeepEqual(md["link"], want) ||
			!reflect.DeepEqual(md["ratelimit-remaining"], []string{"7"}) || md["set-cookie"] != nil || md["x-other"] != nil {
			t.Errorf("%s over gRPC: %v with %v", name, err, md)
		}
		if err != nil && len(status.Convert(err).Details()) < 4 {
			t.Errorf("the details are %v", status.Convert(err).Details())
		}
	}
}
