// Package text judges texts from outside: those of callers, of Seam and of any other peer. Each judgement is made here
// and nowhere else.
package text

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxRequestIDBytes bounds the id of a request, a caller's or Seam's. Seam's ids are UUIDs.
const MaxRequestIDBytes = 128

// maxForeignBytes bounds a text in the log that may be in part a peer's.
const maxForeignBytes = 200

// credential matches Seam's keys and tokens, the tokens of callers, and JWTs.
var credential = regexp.MustCompile(`(seam_|css_|eyJ)[A-Za-z0-9._~+/=-]+`)

// LooksLikeCredential reports whether a credential may be in a text. Nearly all texts have none, and then no regular
// expression is used.
func LooksLikeCredential(text string) bool {
	mayMatch := strings.Contains(text, "seam_") || strings.Contains(text, "css_") || strings.Contains(text, "eyJ")
	return mayMatch && credential.MatchString(text)
}

// whole matches credentials of which not only the beginning is in a text, which tells their kind.
var whole = regexp.MustCompile(`(seam_|css_|eyJ)[A-Za-z0-9._~+/=-]{12,}`)

// Redact returns a text without what looks like a whole credential.
func Redact(text string) string { return whole.ReplaceAllString(text, "(redacted)") }

// Foreign returns a text that may be in part a peer's as it may stand in the log: up to the first quote, since errors
// quote the peer, without what looks like a credential, without control characters, and short.
func Foreign(text string) string {
	text, _, _ = strings.Cut(text, `"`)
	text = credential.ReplaceAllString(text, "(redacted)")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(Cut(text, maxForeignBytes))
}

// Cut shortens a text to limit bytes without splitting a character.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}

// IsPrintable reports whether a text is printable ASCII and so valid as a header's value: a line break would inject
// another header.
func IsPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// HasControlCharacters reports whether a text has control characters. No identifier has any, so a control character is
// an attempt to inject into a database, a log or a terminal downstream. Nearly all texts are ASCII, which needs no
// decoding.
func HasControlCharacters(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == 0x7f:
			return true
		case c >= utf8.RuneSelf:
			return strings.ContainsFunc(text[i:], unicode.IsControl)
		}
	}
	return false
}

// IsLoopback reports whether a host, a name or an address, is this machine.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
