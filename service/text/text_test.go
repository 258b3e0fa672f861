package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/clientsession/client-session-service/service/text"
)

// samples are texts with what each judgement says of them.
var samples = map[string]struct {
	credential, printable, control, loopback bool
	foreign                                  string
}{
	"":                                {printable: true},
	"plain":                           {printable: true, foreign: "plain"},
	"seam_apikey_1":                   {credential: true, printable: true, foreign: "(redacted)"},
	"Bearer seam_cst1abc.":            {credential: true, printable: true, foreign: "Bearer (redacted)"},
	"a css_TOKEN b":                   {credential: true, printable: true, foreign: "a (redacted) b"},
	"eyJhbGciOiJub25lIn0.e30.":        {credential: true, printable: true, foreign: "(redacted)"},
	"seam_":                           {printable: true, foreign: "seam_"},
	"the key of they":                 {printable: true, foreign: "the key of they"},
	"line\nbreak":                     {control: true, foreign: "line break"},
	"tab\tand\x00zero":                {control: true, foreign: "tab and zero"},
	"delete\x7f":                      {control: true, foreign: "delete"},
	"caf\u00e9":                       {foreign: "caf\u00e9"},
	"next\u0085line":                  {control: true, foreign: "next line"},
	`malformed response "seam_x`:      {credential: true, printable: true, foreign: "malformed response"},
	"localhost":                       {printable: true, loopback: true, foreign: "localhost"},
	"127.0.0.1":                       {printable: true, loopback: true, foreign: "127.0.0.1"},
	"127.9.9.9":                       {printable: true, loopback: true, foreign: "127.9.9.9"},
	"::1":                             {printable: true, loopback: true, foreign: "::1"},
	"::ffff:127.0.0.1":                {printable: true, loopback: true, foreign: "::ffff:127.0.0.1"},
	"0.0.0.0":                         {printable: true, foreign: "0.0.0.0"},
	"localhost.evil.example":          {printable: true, foreign: "localhost.evil.example"},
	"127.0.0.1.evil.example":          {printable: true, foreign: "127.0.0.1.evil.example"},
	"127.1":                           {printable: true, foreign: "127.1"},
	strings.Repeat("\u00e9", 101):     {foreign: strings.Repeat("\u00e9", 100)},
	strings.Repeat("x", 199) + "\xff": {foreign: strings.Repeat("x", 199)},
}

func TestJudgements(t *testing.T) {
	for sample, want := range samples {
		got := want
		got.credential, got.printable = text.LooksLikeCredential(sample), text.IsPrintable(sample)
		got.control, got.loopback = text.HasControlCharacters(sample), text.IsLoopback(sample)
		got.foreign = text.Foreign(sample)
		if got != want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", sample, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for limit, want := range map[int]string{0: "", 1: "a", 2: "a", 3: "a\u00e9", 4: "a\u00e9b", 5: "a\u00e9b"} {
		if got := text.Cut("a\u00e9b", limit); got != want {
			t.Errorf("%d bytes: %q, want %q", limit, got, want)
		}
	}
}

// FuzzJudgements shows what holds for every text.
func FuzzJudgements(f *testing.F) {
	for sample := range samples {
		f.Add(sample, 10)
	}
	f.Fuzz(func(t *testing.T, sample string, limit int) {
		foreign := text.Foreign(sample)
		if text.LooksLikeCredential(foreign) || text.HasControlCharacters(foreign) || strings.Contains(foreign, `"`) || len(foreign) > 200 {
			t.Errorf("%q may stand in the log as %q", sample, foreign)
		}
		if text.IsPrintable(sample) && (text.HasControlCharacters(sample) || !utf8.ValidString(sample)) {
			t.Errorf("%q is printable", sample)
		}
		if text.HasControlCharacters(sample) != strings.ContainsFunc(sample, unicode.IsControl) {
			t.Errorf("%q: control characters are judged in another way", sample)
		}
		if limit >= 0 {
			cut := text.Cut(sample, limit)
			if len(cut) > limit || utf8.ValidString(sample) && !strings.HasPrefix(sample, cut) {
				t.Errorf("%q cut to %d bytes is %q", sample, limit, cut)
			}
		}
	})
}
