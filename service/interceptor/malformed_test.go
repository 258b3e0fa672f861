package interceptor

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzControlCharacters compares with Unicode's own definition.
func FuzzControlCharacters(f *testing.F) {
	for _, text := range []string{"", "jane_doe", "a\x7f", "\x00", "é\u0085", "\x85", "\xc2", "é\x1f", "a\u2028"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := hasControlCharacters(text), strings.ContainsFunc(text, unicode.IsControl); got != want {
			t.Errorf("%q has control characters: %t, want %t", text, got, want)
		}
	})
}
