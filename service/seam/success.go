package seam

import (
	"errors"
	"net/http"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// Success is what a 2xx response needs to count as a success. A proxy or a maintenance page responds with 200 too, and
// a caller must not take that for a revoked session.
type Success int

const (
	// OneSession needs the session, with its id and its token.
	OneSession Success = iota
	// Sessions needs the list of sessions, which may be empty.
	Sessions
	// Granted needs the session or `"ok": true`. Seam's reference shows an empty object for a successful grant, so that
	// counts too.
	Granted
	// Done needs `"ok": true`.
	Done
)

// isVoid reports whether a response without a body is a success. A 204 is one by itself, as it is for Seam's SDKs where
// they return nothing. A 200 with an empty body is not, since load balancers send it as well.
func (s Success) isVoid(httpStatus int) bool {
	return httpStatus == http.StatusNoContent && (s == Granted || s == Done)
}

// decode decodes a 2xx response, into the message unless only its text is needed. check looks at the session of a
// response that has to have one.
func (c *Call) decode(codec *seamjson.Codec, text []byte) (seamjson.Envelope, error) {
	if c.BodyOnly && c.Success != OneSession {
		return codec.CheckResponse(text, c.Out)
	}
	return codec.UnmarshalResponse(text, c.Out)
}

// check returns why a response does not count as a success, nil if it does.
func (s Success) check(envelope seamjson.Envelope, out proto.Message) error {
	switch {
	case envelope.NotOK:
		return errors.New("ok is false")
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
		return errors.New("it does not have the members of a success")
	}
	return nil
}

// isUsable reports whether a session has what a caller needs to use it.
func isUsable(out proto.Message) bool {
	response, ok := out.(interface {
		GetClientSession() *clientsessionv1.ClientSession
	})
	return ok && response.GetClientSession().GetClientSessionId() != "" && response.GetClientSession().GetToken() != ""
}
