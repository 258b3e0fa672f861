package auth_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/auth"
)

// TestAPIKey shows what passes for an API key. A file usually ends in a line break, so white space around it is fine;
// inside of it, it would break the header that goes to Seam.
func TestAPIKey(t *testing.T) {
	const kinds = "an API key begins with seam_"
	for name, test := range map[string]struct {
		text, want, fault string
	}{
		"a key":                      {text: "seam_test1_abcDEF09", want: "seam_test1_abcDEF09"},
		"line break of a file":       {text: "seam_test1_abc\n", want: "seam_test1_abc"},
		"line break of Windows":      {text: "seam_test1_abc\r\n", want: "seam_test1_abc"},
		"white space around":         {text: " \t\nseam_test1_abc\n \t", want: "seam_test1_abc"},
		"empty":                      {text: "", fault: kinds},
		"white space alone":          {text: " \n", fault: kinds},
		"session token":              {text: "seam_cst1_passw0rd", fault: "begins with seam_cst"},
		"session token, white space": {text: "\nseam_cst1_passw0rd", fault: "begins with seam_cst"},
		"access token":               {text: "seam_at1_passw0rd", fault: "begins with seam_at"},
		"publishable key":            {text: "seam_pk1_passw0rd", fault: "begins with seam_pk"},
		"other prefix":               {text: "sk_live_passw0rd", fault: kinds},
		"upper case":                 {text: "SEAM_passw0rd", fault: kinds},
		"with its scheme":            {text: "Bearer seam_passw0rd", fault: kinds},
		"two keys":                   {text: "seam_passw0rd1\nseam_passw0rd2", fault: kinds},
		"line break and header":      {text: "seam_passw0rd\r\nx-evil: 1", fault: kinds},
		"space inside":               {text: "seam_passw0rd 1", fault: kinds},
		"zero byte":                  {text: "seam_passw0rd\x00", fault: kinds},
		"escape":                     {text: "seam_passw0rd\x1b[0m", fault: kinds},
		"delete":                     {text: "seam_passw0rd\x7f", fault: kinds},
		"quoted":                     {text: `"seam_passw0rd"`, fault: kinds},
		"not ASCII":                  {text: "seam_passw0rdé", fault: kinds},
		"not UTF-8":                  {text: "seam_passw0rd\xff", fault: kinds},
		"byte order mark":            {text: "\ufeffseam_passw0rd", fault: kinds},
	} {
		t.Run(name, func(t *testing.T) {
			key := &auth.Key{}
			if err := key.UseAPIKey("seam_before"); err != nil {
				t.Fatal(err)
			}
			err := key.UseAPIKey(test.text)
			checkKeyFault(t, err, test.fault)
			want := test.want
			if test.fault != "" {
				want = "seam_before" // A faulty key does not take the place of a good one.
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
		token, workspace, fault string
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
			checkKeyFault(t, err, test.fault)
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

func checkKeyFault(t *testing.T, err error, want string) {
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
