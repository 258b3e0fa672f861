package call

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// respondingFace is a face that runs the handler, and then writes the response.
type respondingFace struct {
	*testFace

	write func() error
}

func (f respondingFace) Respond(
	ctx context.Context, handle func(context.Context) (proto.Message, error),
) error {
	if _, err := handle(ctx); err != nil {
		return err
	}
	return f.write()
}

// errPanic makes the handler panic.
var errPanic = errors.New("panic")

// TestAuditLineOfUnreadResponse shows that no caller can make the audit line of what Seam has done say that it failed,
// such as by not reading the end of the response, and that the line has no list of the response, however long that is.
func TestAuditLineOfUnreadResponse(t *testing.T) {
	const session = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	for name, test := range map[string]struct {
		err   error
		write func() error
		want  string
	}{
		"read":            {nil, func() error { return nil }, "done " + session},
		"not read":        {nil, func() error { return seamerr.Canceled(nil) }, "done " + session},
		"panic":           {nil, func() error { panic("while it is written") }, "done " + session},
		"refused by Seam": {seamerr.NotFound(), nil, "failed "},
		"panic before":    {errPanic, nil, "unknown "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, func(config *Config) { config.AuditLog = true })
			served := Unary(method, func(
				context.Context, *clientsessionv1.GrantAccessRequest,
			) (*clientsessionv1.GrantAccessResponse, error) {
				if errors.Is(test.err, errPanic) {
					panic(test.err)
				}
				if test.err != nil {
					return nil, test.err
				}
				granted := &clientsessionv1.ClientSession{
					ClientSessionId: session, ConnectedAccountIds: slices.Repeat([]string{session}, 30_000),
				}
				return &clientsessionv1.GrantAccessResponse{ClientSession: granted}, nil
			})
			c := &Call{Face: FaceGRPC, Method: served}
			// It satisfies the rules of the contract.
			c.Method.NewRequest = func() proto.Message {
				return &clientsessionv1.GrantAccessRequest{
					ClientSessionId: proto.String(session), ConnectedAccountIds: []string{session},
				}
			}
			s.Serve(s.Begin(t.Context(), c), c, respondingFace{handling(nil), test.write})
			var line struct {
				Outcome string
				Session struct {
					ID string `json:"client_session_id"`
				} `json:"client_session"`
			}
			_, text, found := strings.Cut(s.log.String(), `"msg":"audit"`)
			if err := json.Unmarshal([]byte(`{"msg":"audit"`+text), &line); !found || err != nil {
				t.Fatalf("%v: %s", err, s.log)
			}
			if len(text) > 1000 { // The log drops a line of a megabyte.
				t.Errorf("the line has %d bytes", len(text))
			}
			if got := line.Outcome + " " + line.Session.ID; got != test.want {
				t.Errorf("got %q, want %q: %s", got, test.want, text)
			}
		})
	}
}
