package sandbox_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// What a credential gets.
const (
	allowed         = "200"
	refused         = "401 unauthorized: No authentication methods succeeded"
	noWorkspace     = "401 workspace_not_found: Workspace not found"
	sessionNotFound = "404 client_session_not_found: Could not find client session"
	unknownKey      = "401 unauthorized: API Key not found"
	unknownToken    = "401 client_session_not_found: Client session not found"
	revokedToken    = "401 client_session_revoked: Client session revoked"
	expiredToken    = "401 client_session_expired: Client session expired"
)

// calls has a harmless request to each endpoint.
func calls() map[string][2]string {
	id := byID(sandbox.KeylessSessionID)
	return map[string][2]string{
		"create":        {"PUT", byKey("someone")},
		"get":           {"POST", id},
		"get_or_create": {"POST", byKey("someone")},
		"list":          {"GET", ""},
		"grant_access":  {"PATCH", id},
		"revoke":        {"POST", id},
		"delete":        {"POST", id},
	}
}

// TestCredentials shows what each credential gets at each endpoint. A second header of one name is not passed over, also
// when the first alone would do.
func TestCredentials(t *testing.T) {
	bearer := func(token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token}, more...)
	}
	empty := []string{"seam-workspace", "", "seam-client-session-token", "", "client-session-token", "", "seam-publishable-key", ""}
	everywhere := []string{"create", "get", "get_or_create", "list", "grant_access", "revoke", "delete"}
	get, creates := everywhere[1:2], []string{"create", "get_or_create"}
	const session, header, workspace = sandbox.KeylessSessionToken, "client-session-token", "seam-workspace"
	g := newHarness(t, sandbox.Options{})
	for name, test := range map[string]struct {
		headers []string
		want    string
		at      []string // at are the endpoints where it gets that. At the others it is refused.
	}{
		"nothing":                            {nil, refused, everywhere},
		"empty headers only":                 {append(empty, "Authorization", ""), refused, everywhere},
		"api key":                            {bearer(sandbox.APIKey), allowed, everywhere},
		"api key, lower case scheme":         {[]string{"Authorization", "bearer " + sandbox.APIKey}, refused, everywhere},
		"api key, two spaces":                {bearer(" " + sandbox.APIKey), refused, everywhere},
		"api key, space after it":            {bearer(sandbox.APIKey + " "), allowed, everywhere},
		"api key without a scheme":           {[]string{"Authorization", sandbox.APIKey}, refused, everywhere},
		"api key and another workspace":      {bearer(sandbox.APIKey, workspace, sandbox.OtherWorkspaceID), allowed, everywhere},
		"api key twice":                      {bearer(sandbox.APIKey, bearer(sandbox.APIKey)...), unknownKey, everywhere},
		"api key beside another":             {bearer(sandbox.APIKey, bearer(sandbox.OtherAPIKey)...), unknownKey, everywhere},
		"api key and an empty one":           {bearer(sandbox.APIKey, "Authorization", ""), allowed, everywhere},
		"unknown api key":                    {bearer("seam_nobody"), unknownKey, everywhere},
		"unknown form":                       {bearer("abc"), refused, everywhere},
		"pat":                                {bearer(sandbox.AccessToken, workspace, sandbox.WorkspaceID), allowed, everywhere},
		"pat without workspace":              {bearer(sandbox.AccessToken), noWorkspace, everywhere},
		"pat with empty workspace":           {bearer(sandbox.AccessToken, workspace, ""), noWorkspace, everywhere},
		"pat with unknown workspace":         {bearer(sandbox.AccessToken, workspace, sandbox.SessionID), noWorkspace, everywhere},
		"pat with two workspaces":            {bearer(sandbox.AccessToken, workspace, sandbox.WorkspaceID, workspace, sandbox.OtherWorkspaceID), noWorkspace, everywhere},
		"unknown pat":                        {bearer("seam_at1nobody"), "401 unauthorized: Access token not found", everywhere},
		"jwt":                                {bearer(sandbox.ConsoleToken, workspace, sandbox.WorkspaceID), allowed, everywhere},
		"unknown jwt":                        {bearer("eyJ.a.b", workspace, sandbox.WorkspaceID), refused, everywhere},
		"session token":                      {bearer(session), allowed, get},
		"session token in header":            {[]string{header, session}, allowed, get},
		"session token in other header":      {[]string{"seam-client-session-token", session}, allowed, get},
		"session token after empty header":   {[]string{header, "", "seam-client-session-token", session}, allowed, get},
		"session token beside an empty one":  {[]string{header, "", header, session}, allowed, get},
		"session token beside another":       {[]string{header, session, header, sandbox.SessionToken}, unknownToken, get},
		"unknown session token":              {bearer("seam_cst1x"), unknownToken, get},
		"no session token in its header":     {[]string{header, "x"}, refused, everywhere},
		"no session token before a good one": {[]string{header, "x", "seam-client-session-token", session}, refused, everywhere},
		"session token, lower case scheme":   {[]string{"Authorization", "bearer x", header, session}, refused, everywhere},
		"session token and an empty bearer":  {bearer("", header, session), refused, everywhere},
		"session token and an empty header":  {[]string{"Authorization", "", header, session}, allowed, get},
		"revoked session token":              {bearer(sandbox.RevokedSessionToken), revokedToken, get},
		"expired session token":              {bearer(sandbox.ExpiredSessionToken), expiredToken, get},
		"publishable key":                    {[]string{"seam-publishable-key", sandbox.PublishableKey}, allowed, creates},
		"publishable key as bearer":          {bearer(sandbox.PublishableKey), refused, everywhere},
		"unknown publishable key":            {[]string{"seam-publishable-key", "seam_pk1nobody"}, noWorkspace, creates},
		"no publishable key":                 {[]string{"seam-publishable-key", sandbox.APIKey}, refused, everywhere},
	} {
		t.Run(name, func(t *testing.T) {
			g := g.within(t)
			for endpoint, call := range calls() {
				g.Reset()
				want := refused
				if slices.Contains(test.at, endpoint) {
					want = test.want
				}
				res := g.send(call[0], "/client_sessions/"+endpoint, call[1], test.headers...)
				res.responds(want)
				for i := 1; i < len(test.headers) && res.status != 200; i += 2 {
					secret := strings.TrimPrefix(test.headers[i], "Bearer ")
					if len(secret) > 3 && strings.Contains(string(res.body), secret) {
						t.Errorf("the error quotes the credential: %s", res.body)
					}
				}
			}
		})
	}
}

func TestPublishableKey(t *testing.T) {
	const noUser = "401 publishable_key_requires_user_identifier_key: A publishable key requires a user_identifier_key"
	const mustBeEmpty = "403 publishable_keys_must_create_empty_client_sessions: Publishable keys must create empty client sessions"
	header := []string{"user-identifier-key", "from_header"}
	g := newHarness(t, sandbox.Options{})
	for name, test := range map[string]struct {
		body    string
		headers []string
		want    string
		key     string
	}{
		"no user":             {`{}`, nil, noUser, ""},
		"no user and wrong":   {`{"nonsense":1}`, nil, noUser, ""},
		"no body":             {``, nil, noUser, ""},
		"empty header":        {`{}`, []string{"user-identifier-key", ""}, noUser, ""},
		"body":                {byKey("from_body"), nil, allowed, "from_body"},
		"header":              {``, header, allowed, "from_header"},
		"other header":        {`{}`, []string{"seam-user-identifier-key", "from_header"}, allowed, "from_header"},
		"both":                {byKey("from_body"), header, allowed, "from_body"},
		"empty lists":         {`{"connected_account_ids":[],"connect_webview_ids":[]}`, header, mustBeEmpty, ""},
		"filled list":         {`{"user_identifier_key":"u","connected_account_ids":["a"]}`, nil, mustBeEmpty, ""},
		"filled list, header": {`{"connected_account_ids":["a"]}`, header, mustBeEmpty, ""},
		"webview":             {`{"connect_webview_ids":["a"]}`, header, mustBeEmpty, ""},
		"identity":            {`{"user_identity_id":"` + sandbox.UserIdentityID + `"}`, header, mustBeEmpty, ""},
		"blank key":           {byKey(" "), header, noUser, ""},
		"key of no text":      {`{"user_identifier_key":1}`, header, invalid(`Expected string, received number for "user_identifier_key"`), ""},
		"no object":           {`[]`, nil, invalid("Expected object, received array"), ""},
	} {
		for _, endpoint := range []string{"create", "get_or_create"} {
			t.Run(name+" "+endpoint, func(t *testing.T) {
				g := g.within(t)
				g.Reset()
				res := g.send("POST", "/client_sessions/"+endpoint, test.body,
					append(test.headers, "seam-publishable-key", sandbox.PublishableKey)...)
				res.responds(test.want)
				if test.want == allowed {
					res.session(byKey(test.key))
				}
			})
		}
	}
}

func TestWorkspacesAreApart(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	other := []string{"Authorization", "Bearer " + sandbox.OtherAPIKey}
	for _, endpoint := range []string{"get", "grant_access", "revoke", "delete"} {
		g.send("POST", "/client_sessions/"+endpoint, byID(sandbox.KeylessSessionID), other...).fails(sessionNotFound)
	}
	g.send("POST", "/client_sessions/get", byKey(sandbox.UserIdentifierKey), other...).fails(sessionNotFound)
	if got := g.send("GET", "/client_sessions/list", "", other...).ids(); len(got) != 1 || got[0] != sandbox.OtherSessionID {
		t.Errorf("got %v", got)
	}
	// The same key is free in the other workspace, and the same PAT sees there
	// what belongs there.
	g.send("POST", "/client_sessions/create", byKey(sandbox.UserIdentifierKey), other...).ok()
	for _, token := range []string{sandbox.AccessToken, sandbox.ConsoleToken} {
		g.send("POST", "/client_sessions/get", byID(sandbox.OtherSessionID),
			"Authorization", "Bearer "+token, "seam-workspace", strings.ToUpper(sandbox.OtherWorkspaceID)).
			session(`{"workspace_id":"` + sandbox.OtherWorkspaceID + `"}`)
	}
}
