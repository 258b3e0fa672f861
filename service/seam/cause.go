package seam

import (
	"errors"
	"net/textproto"
	"regexp"
	"strings"
	"unicode"
)

// maxCauseBytes bounds what is logged of an error of the network or of TLS, whose text can be the other end's.
const maxCauseBytes = 200

// credentialPattern is what Seam's keys and tokens, and JWTs, look like.
var credentialPattern = regexp.MustCompile(`(seam_|css_|eyJ)[A-Za-z0-9._~+/=-]+`)

// outsideError is an error of the transport whose text may have parts that came from outside: a malformed response is
// quoted in it, and a certificate can have names of any length.
type outsideError struct {
	text string
	err  error
}

func (e outsideError) Error() string { return e.text }
func (e outsideError) Unwrap() error { return e.err }

// fromOutside returns an error whose text is fit for the log: short, and without what the other end wrote.
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
