package seam

import (
	"errors"
	"net/textproto"

	"github.com/clientsession/client-session-service/service/text"
)

// outsideError is an error of the transport whose text may be in part the peer's: it quotes malformed responses, and a
// certificate can have names of any length.
type outsideError struct {
	text string
	err  error
}

func (e outsideError) Error() string { return e.text }
func (e outsideError) Unwrap() error { return e.err }

// fromOutside returns an error whose text is safe to log: short, and without quotes of the peer.
func fromOutside(err error) error {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return outsideError{"malformed response header", err}
	}
	return outsideError{text.Foreign(err.Error()), err}
}
