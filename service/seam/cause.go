package seam

import (
	"errors"
	"net/textproto"

	"github.com/clientsession/client-session-service/service/text"
)

// fromOutside returns an error whose text is safe to log: short, and without quotes of the peer. The transport quotes
// malformed responses, and a certificate can have names of any length.
func fromOutside(err error) error {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New("malformed response header")
	}
	return errors.New(text.Foreign(err.Error()))
}
