package seam

import (
	"errors"
	"net/http"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// Success is what a 2xx response has to tell to be a success. A proxy or a page of maintenance answers with 200 too,
// and a caller must not take that for a session that was revoked.
type Success int

const (
	// OneSession needs the session, with its id and its token.
	OneSession Success = iota
	// Sessions needs the list of sessions, which may be empty.
	Sessions
	// Granted needs the session or `"ok": true`. Seam's reference page shows an empty object for a grant that was made,
	// so that is one too.
	Granted
	// Done needs `"ok": true`.
	Done
)

// isVoid says whether a response without a body is a success: a 204 says by itself that the request was carried out and
// that there is nothing more to tell, which is what Seam's SDKs make of it where they return nothing. A 200 with an
// empty body says nothing by itself, and comes from load balancers as well.
func (s Success) isVoid(httpStatus int) bool {
	return httpStatus == http.StatusNoContent && (s == Granted || s == Done)
}

// check returns why a response is no success, nil if it is one.
func (s Success) check(envelope seamjson.Envelope, out proto.Message) error {
	switch {
	case envelope.NotOK:
		return errors.New("it says that it is not ok")
	case envelope.Error:
		return errors.New("it has an error")
	}
	enough := false
	switch s {
	case OneSession:
		enough = envelope.Session && isUsable(out)
	case Sessions:
		enough = envelope.Sessions
	case Granted:
		enough = envelope.Session || envelope.OK || envelope.Empty
	case Done:
		enough = envelope.OK
	}
	if !enough {
		return errors.New("it does not have what tells of success")
	}
	return nil
}

// isUsable says whether a session is one that a caller can go on with.
func isUsable(out proto.Message) bool {
	response, ok := out.(interface {
		GetClientSession() *clientsessionv1.ClientSession
	})
	return ok && response.GetClientSession().GetClientSessionId() != "" && response.GetClientSession().GetToken() != ""
}
