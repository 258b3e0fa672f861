package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/auth"
)

// TestCallersFile shows which callers files are refused, and that no error quotes a token.
func TestCallersFile(t *testing.T) {
	good := "callers: [{name: a, token_sha256: [" + digest(token) + "], rpcs: [\"*\"]}]"
	entry := func(members string) string { return "callers: [{name: a, rpcs: [\"*\"], " + members + "}]" }
	jwt := func(members string) string { return entry("jwt: {" + members + "}") }
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"good":                  {good, nil},
		"good, of all kinds":    {callersFile(), nil},
		"good JWT":              {jwt("issuer: \"https://i.example\", audience: a, subject: s"), nil},
		"good JWT, claims":      {jwt("issuer: \"https://i.example\", audience: a, claims: {x: y}"), nil},
		"good JWT, loopback":    {jwt("issuer: \"http://127.0.0.1:1\", audience: a, subject: s"), nil},
		"good, JSON with tabs":  {"{\n\t\"callers\": [{\"name\": \"a\", \"token_sha256\": [\"" + digest(token) + "\"], \"rpcs\": [\"Get\"]}]\n}", nil},
		"empty":                 {"", []string{"no callers"}},
		"comment":               {"# none yet", []string{"no callers"}},
		"no callers":            {"callers: []", []string{"no callers"}},
		"no YAML":               {"callers: [", []string{"not a callers file"}},
		"list":                  {"- name: a", []string{"not a callers file"}},
		"binary":                {"\x00\xff", []string{"not a callers file"}},
		"unknown member":        {entry("token_sha256: [" + digest(token) + "], only_from: 10.0.0.0/8"), []string{`line 1: "only_from" is none of name, token_sha256, spiffe_id, dns_name, jwt, rpcs`}},
		"unknown at the top":    {good + "\ndefaults: {}", []string{`line 2: "defaults" is none of callers`}},
		"unknown in jwt":        {jwt("issuer: \"https://i.example\", audience: a, subject: s, claim: {x: y}"), []string{`"claim" is none of issuer, audience, subject, claims`}},
		"member twice":          {"callers: [{name: a, rpcs: [Get], rpcs: [\"*\"], token_sha256: [" + digest(token) + "]}]", []string{"rpcs"}},
		"no proof":              {"callers: [{name: a, rpcs: [Get]}]", []string{"for authentication"}},
		"no RPCs":               {"callers: [{name: a, token_sha256: [" + digest(token) + "]}]", []string{"rpcs: name the RPCs"}},
		"unknown RPC":           {"callers: [{name: a, rpcs: [grantAccess], token_sha256: [" + digest(token) + "]}]", []string{`"grantAccess" is none of Create, Get, GrantAccess, *`}},
		"RPC by its full name":  {"callers: [{name: a, rpcs: [/seam.clientsession.v1.ClientSessionService/Get], token_sha256: [" + digest(token) + "]}]", []string{"is none of"}},
		"no name":               {"callers: [{rpcs: [Get], token_sha256: [" + digest(token) + "]}]", []string{"name: needs one"}},
		"name with line breaks": {"callers: [{name: \"a\\nb\", rpcs: [Get], token_sha256: [" + digest(token) + "]}]", []string{"name: needs one"}},
		"name too long":         {"callers: [{name: " + strings.Repeat("a", 65) + ", rpcs: [Get], token_sha256: [" + digest(token) + "]}]", []string{"name: needs one"}},
		"name twice": {
			"callers: [{name: a, rpcs: [Get], token_sha256: [" + digest("x") + "]}, {name: a, rpcs: [Get], token_sha256: [" + digest("y") + "]}]",
			[]string{`callers[1] "a": name: needs one of its own`},
		},
		"two documents":     {good + "\n---\ncallers: nonsense", []string{"more than one document"}},
		"token for a list":  {entry("token_sha256: " + token), []string{"a single value where a list is needed"}},
		"a list for a name": {entry("dns_name: [a, b]"), []string{"line 1: there is a list where a single value is needed", "needs token_sha256"}},
		"a name for a rule": {entry("jwt: issuer"), []string{"line 1: there is a single value where a mapping of members to values is needed", "jwt.issuer", "jwt.audience", "jwt: needs"}},
		"type and violation": {
			"callers: [{name: a, rpcs: Get, token_sha256: [x]}, {name: [b], rpcs: [Y], dns_name: d}, 7]",
			[]string{
				"there is a single value where a list is needed", "there is a list where a single value is needed",
				"there is a single value where a mapping of members to values is needed",
				`callers[0] "a": rpcs: name the RPCs`, `callers[0] "a": token_sha256: needs 64`,
				`callers[1] "": name: needs one of its own`, `callers[1] "": rpcs: "Y" is none of`,
			},
		},
		"token for a member": {entry(token + ": x"), []string{`"(not quoted)" is none of`}},
		"token for names": {
			"callers: [{name: " + token + ", rpcs: [" + token + "], token_sha256: [" + digest("x") + "]}]",
			[]string{`callers[0] "(not quoted)": rpcs: "(not quoted)"`},
		},
		"hash twice":         {entry("token_sha256: [" + digest(token) + ", " + digest(token) + "]"), []string{"is a duplicate"}},
		"token for its hash": {entry("token_sha256: [" + token + "]"), []string{"needs 64 hex digits"}},
		"hash too short":     {entry("token_sha256: [" + digest(token)[2:] + "]"), []string{"needs 64 hex digits"}},
		"empty hash":         {entry("token_sha256: [\"\"]"), []string{"needs 64 hex digits"}},
		"hash of another": {
			"callers: [{name: a, rpcs: [Get], token_sha256: [" + digest(token) + "]}, {name: b, rpcs: [Get], token_sha256: [" + strings.ToUpper(digest(token)) + "]}]",
			[]string{`callers[1] "b": token_sha256: is a duplicate`},
		},
		"SPIFFE id of another": {
			"callers: [{name: a, rpcs: [Get], spiffe_id: \"spiffe://x/y\"}, {name: b, rpcs: [Get], spiffe_id: \"spiffe://x/y\"}]",
			[]string{`callers[1] "b": spiffe_id: needs a whole name`},
		},
		"no SPIFFE id":          {entry("spiffe_id: \"https://x/y\""), []string{"spiffe_id: needs a whole name"}},
		"wildcard":              {entry("dns_name: \"*.example.org\""), []string{"dns_name: needs a whole name"}},
		"URL for a name":        {entry("dns_name: \"https://example.org\""), []string{"dns_name: needs a whole name"}},
		"issuer in plain text":  {jwt("issuer: \"http://i.example\", audience: a, subject: s"), []string{"jwt.issuer: needs an https:// URL"}},
		"issuer like loopback":  {jwt("issuer: \"http://127.0.0.1.i.example\", audience: a, subject: s"), []string{"jwt.issuer: needs an https:// URL"}},
		"issuer, user loopback": {jwt("issuer: \"http://127.0.0.1@i.example\", audience: a, subject: s"), []string{"jwt.issuer: needs an https:// URL"}},
		"issuer is no URL":      {jwt("issuer: i, audience: a, subject: s"), []string{"jwt.issuer: needs an https:// URL"}},
		"no audience":           {jwt("issuer: \"https://i.example\", subject: s"), []string{"jwt.audience: is required"}},
		"whole issuer":          {jwt("issuer: \"https://i.example\", audience: a"), []string{"all tokens of the issuer pass"}},
		"all errors of a rule":  {jwt("issuer: x"), []string{"jwt.issuer", "jwt.audience", "all tokens of the issuer"}},
		"all errors of callers": {
			"callers: [{name: \"?\", rpcs: [X, Y], token_sha256: [z, " + digest(token) + "], dns_name: \"*\"}, {name: b}]",
			[]string{`callers[0] "?": name`, `rpcs: "X"`, `rpcs: "Y"`, "token_sha256", "dns_name", `callers[1] "b": rpcs`, `callers[1] "b": needs token_sha256`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := auth.NewCallers(rpcNames(), &http.Client{}, noAuthorities, time.Now).Load([]byte(test.file))
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("error is %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not have %s:\n%v", want, err)
				}
			}
			if len(test.want) > 1 && strings.Count(err.Error(), "\n") != len(test.want)-1 {
				t.Errorf("not %d violations:\n%v", len(test.want), err)
			}
			if err != nil && strings.Contains(err.Error(), token[:8]) {
				t.Errorf("the error quotes a token: %v", err)
			}
		})
	}
}

// TestLoad shows that a new file is in use at once, and that an invalid one changes nothing.
func TestLoad(t *testing.T) {
	callers := newCallers(t, callersFile())
	if err := callers.Load([]byte("callers: [{name: b, token_sha256: [" + digest("x") + "]}]")); err == nil {
		t.Fatal("a caller without RPCs is accepted")
	}
	if got := grant(t, callers, bearer(token), nil); got.caller != "frontend" {
		t.Errorf("after an invalid file: %v", got.err)
	}
	if got := grant(t, callers, bearer("x"), nil); got.served {
		t.Error("a caller of an invalid file may call")
	}
	if err := callers.Load([]byte("callers: [{name: b, token_sha256: [" + digest("x") + "], rpcs: [GrantAccess]}]")); err != nil {
		t.Fatal(err)
	}
	if got := grant(t, callers, bearer(token), nil); got.served {
		t.Error("a caller that the file does not name any more may call")
	}
	if got := grant(t, callers, bearer("x"), nil); got.caller != "b" {
		t.Errorf("the new caller: %v", got.err)
	}
	if got := grant(t, callers, nil, verified(t, "spiffe://example.org/orders", "")); got.served {
		t.Error("a certificate that the file does not name any more may call")
	}
}
