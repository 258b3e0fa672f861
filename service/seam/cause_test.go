package seam

import (
	"crypto/x509"
	"errors"
	"io"
	"net/textproto"
	"strings"
	"testing"
)

// TestFromOutside shows what the log gets of errors in whose text the other end has a say.
func TestFromOutside(t *testing.T) {
	names := make([]string, 99)
	for i := range names {
		names[i] = strings.Repeat("n", 250) + ".test"
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"plain":      {io.ErrUnexpectedEOF, "unexpected EOF"},
		"quoted":     {errors.New(`malformed HTTP response "seam_cst1"`), "malformed HTTP response"},
		"header":     {textproto.ProtocolError("malformed MIME header line: anything"), "malformed response header"},
		"credential": {errors.New("stray seam_cst1abc.def and eyJhbGciOi.x.y"), "stray (redacted) and (redacted)"},
		"control":    {errors.New("a\nb\x1b[2J"), "a b [2J"},
		"certificate's names": {
			x509.HostnameError{Certificate: &x509.Certificate{DNSNames: names}, Host: "seam.test"},
			"x509: certificate is valid for " + strings.Repeat("n", 169),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := fromOutside(test.err)
			if got.Error() != test.want || !errors.Is(got, test.err) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
