package auth_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/auth"
)

// TestAPIKey shows which texts are accepted as an API key. A file usually ends in a line break, so white space around
// the key is allowed; inside, it would inject into the header that goes to Seam.
func TestAPIKey(t *testing.T) {
	const kinds = "an API key begins with seam_"
	for name, test := range map[string]struct {
		text, want, violation string
	}{
		"a key":                      {text: "seam_test1_abcDEF09", want: "seam_test1_abcDEF09"},
		"line break of a file":       {text: "seam_test1_abc\n", want: "seam_test1_abc"},
		"line break of Windows":      {text: "seam_test1_abc\r\n", want: "seam_test1_abc"},
		"white space around":         {text: " \t\nseam_test1_abc\n \t", want: "seam_test1_abc"},
		"empty":                      {text: "", violation: kinds},
		"white space alone":          {text: " \n", violation: kinds},
		"session token":              {text: "seam_cst1_passw0rd", violation: "begins with seam_cst"},
		"session token, white space": {text: "\nseam_cst1_passw0rd", violation: "begins with seam_cst"},
		"access token":               {text: "seam_at1_passw0rd", violation: "begins with seam_at"},
		"publishable key":            {text: "seam_pk1_passw0rd", violation: "begins with seam_pk"},
		"other prefix":               {text: "sk_live_passw0rd", violation: kinds},
		"upper case":                 {text: "SEAM_passw0rd", violation: kinds},
		"with its scheme":            {text: "Bearer seam_passw0rd", violation: kinds},
		"two keys":                   {text: "seam_passw0rd1\nseam_passw0rd2", violation: kinds},
		"line break and header":      {text: "seam_passw0rd\r\nx-evil: 1", violation: kinds},
		"space inside":               {text: "seam_passw0rd 1", violation: kinds},
		"zero byte":                  {text: "seam_passw0rd\x00", violation: kinds},
		"escape":                     {text: "seam_passw0rd\x1b[0m", violation: kinds},
		"delete":                     {text: "seam_passw0rd\x7f", violation: kinds},
		"quoted":                     {text: `"seam_passw0rd"`, violation: kinds},
		"not ASCII":                  {text: "seam_passw0rdé", violation: kinds},
		"not UTF-8":                  {text: "seam_passw0rd\xff", violation: kinds},
		"byte order mark":            {text: "\ufeffseam_passw0rd", violation: kinds},
	} {
		t.Run(name, func(t *testing.T) {
			key := &auth.Key{}
			if err := key.UseAPIKey("seam_before"); err != nil {
				t.Fatal(err)
			}
			err := key.UseAPIKey(test.text)
			checkKeyError(t, err, test.violation)
			want := test.want
			if test.violation != "" {
				want = "seam_before" // An invalid key does not replace a valid one.
			}
			if got := key.Header().Get("Authorization"); got != "Bearer "+want || len(key.Header()) != 1 {
				t.Errorf("headers for Seam are %q", key.Header())
			}
		})
	}
}

func TestAccessToken(t *testing.T) {
	const token, workspace = "seam_at1_passw0rd", "5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"
	const needs, needsID = "a personal access token begins with seam_at", "needs the id of a workspace"
	for name, test := range map[string]struct {
		token, workspace, violation string
	}{
		"both":                    {token, workspace, ""},
		"no workspace":            {token, "", needsID},
		"dashes for a workspace":  {token, "---", needsID},
		"workspace, line break":   {token, workspace + "\r\nx-evil: 1", needsID},
		"workspace, not ASCII":    {token, "é", needsID},
		"API key":                 {"seam_passw0rd", workspace, needs},
		"session token":           {"seam_cst1_passw0rd", workspace, needs},
		"empty":                   {"", workspace, needs},
		"line break in the token": {token + "\nx", workspace, needs},
	} {
		t.Run(name, func(t *testing.T) {
			key := &auth.Key{}
			err := key.UseAccessToken(test.token, test.workspace)
			checkKeyError(t, err, test.violation)
			if err != nil {
				return
			}
			header := key.Header()
			if got := slices.Sorted(maps.Keys(header)); !slices.Equal(got, []string{"Authorization", "Seam-Workspace"}) ||
				header.Get("Authorization") != "Bearer "+token || header.Get("Seam-Workspace") != workspace {
				t.Errorf("headers for Seam are %q", header)
			}
		})
	}
}

func checkKeyError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error is %v, want %s", err, want)
	}
	if strings.Contains(err.Error(), "passw0rd") {
		t.Errorf("the error quotes the key: %v", err)
	}
}
