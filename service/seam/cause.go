package seam

import (
	"errors"
	"net/textproto"
	"regexp"
	"strings"
	"unicode"
)

// maxCauseBytes bounds the text of a network or TLS error in the log. It can be the peer's.
const maxCauseBytes = 200

// credentialPattern matches Seam's keys and tokens, and JWTs.
var credentialPattern = regexp.MustCompile(`(seam_|css_|eyJ)[A-Za-z0-9._~+/=-]+`)

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
	text := err.Error()
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		text = "malformed response header"
	}
	text, _, _ = strings.Cut(text, `"`)
	text = credentialPattern.ReplaceAllString(text, "(redacted)")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxCauseBytes {
		text = strings.ToValidUTF8(text[:maxCauseBytes], "")
	}
	return outsideError{strings.TrimSpace(text), err}
}
