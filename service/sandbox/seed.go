package sandbox

import (
	"cmp"
	"time"
)

// The seeded data. All values are made up and open nothing outside a sandbox.
const (
	// WorkspaceID is the default workspace.
	WorkspaceID = "5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"
	// APIKey is an API key of the default workspace.
	APIKey = "seam_testSand_sandboxsandboxsandboxsan"
	// PublishableKey is a publishable key of the default workspace.
	PublishableKey = "seam_pkSand_sandboxsandboxsandboxsan"

	// OtherWorkspaceID is a second workspace, which shares nothing with the
	// first.
	OtherWorkspaceID = "a7d2e4b6-1c93-4f58-8b7d-6e5f4c3b2a02"
	// OtherAPIKey is an API key of the second workspace.
	OtherAPIKey = "seam_testOthr_sandboxsandboxsandboxsan"

	// AccessToken is a personal access token for both workspaces.
	AccessToken = "seam_at1Sand_sandboxsandboxsandboxsan"
	// ConsoleToken stands for a JWT of the console, for both workspaces.
	ConsoleToken = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzYW5kYm94In0.sandbox"

	// SessionID is the session of the documented examples. It has the user
	// identifier key UserIdentifierKey and no resources.
	SessionID = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	// SessionToken is the token of that session.
	SessionToken = "seam_cst1SandboxFirst00000000000000000000"
	// UserIdentifierKey is the user identifier key of that session.
	UserIdentifierKey = "jane_doe"

	// KeylessSessionID is a session without a user identifier key.
	KeylessSessionID = "0b9c8d7e-6f5a-4432-9c1b-0a1b2c3d4e03"
	// KeylessSessionToken is the token of the session without a key.
	KeylessSessionToken = "seam_cst1SandboxKeyless000000000000000000"

	// RevokedSessionID is a session that is revoked.
	RevokedSessionID = "d4c3b2a1-0f9e-4d8c-8b7a-695847362504"
	// RevokedSessionToken is the token of the revoked session.
	RevokedSessionToken = "seam_cst1SandboxRevoked000000000000000000"
	// RevokedUserIdentifierKey is the key of the revoked session.
	RevokedUserIdentifierKey = "revoked_user"

	// ExpiredSessionID is a session that expired a day before the seeding.
	ExpiredSessionID = "e5f60718-293a-4b4c-9d5e-6f7081920305"
	// ExpiredSessionToken is the token of the expired session.
	ExpiredSessionToken = "seam_cst1SandboxExpired000000000000000000"
	// ExpiredUserIdentifierKey is the key of the expired session.
	ExpiredUserIdentifierKey = "expired_user"

	// OtherSessionID is the session of the second workspace.
	OtherSessionID = "9182a3b4-c5d6-4e7f-a801-122334455606"
	// OtherSessionToken is the token of the session of the second workspace.
	OtherSessionToken = "seam_cst1SandboxOther00000000000000000000"
	// OtherUserIdentifierKey is the key of the session of the second workspace.
	OtherUserIdentifierKey = "john_doe"

	// ConnectedAccountID is the connected account of the documented examples.
	ConnectedAccountID = "c35ecf64-474a-466a-95a6-7b35cb4c8bb4"
	// ConnectedAccountDevices is how many devices that account brings.
	ConnectedAccountDevices = 2
	// ConnectWebviewID is the Connect Webview of the documented examples.
	ConnectWebviewID = "dad03fb2-f801-449c-ab88-0529728c7c38"
	// UserIdentityID is the user identity of the documented examples.
	UserIdentityID = "bde98963-3615-4e92-943e-17de3017232b"
)

// newSeededStore makes the data a sandbox starts with. All times are relative
// to now, so that the expired session is expired by any clock.
func newSeededStore(now time.Time) *store {
	now = now.Truncate(time.Millisecond)
	both := []string{WorkspaceID, OtherWorkspaceID}
	st := newStore()
	st.apiKeys = map[string]string{APIKey: WorkspaceID, OtherAPIKey: OtherWorkspaceID}
	st.accessTokens = map[string][]string{AccessToken: both}
	st.consoleTokens = map[string][]string{ConsoleToken: both}
	st.publishableKeys = map[string]string{PublishableKey: WorkspaceID}

	const day = 24 * time.Hour
	seeds := []session{
		{id: SessionID, token: SessionToken, userIdentifierKey: UserIdentifierKey},
		{id: KeylessSessionID, token: KeylessSessionToken},
		{
			id: RevokedSessionID, token: RevokedSessionToken, userIdentifierKey: RevokedUserIdentifierKey,
			revokedAt: now.Add(-time.Hour),
		},
		{
			id: ExpiredSessionID, token: ExpiredSessionToken, userIdentifierKey: ExpiredUserIdentifierKey,
			expiresAt: now.Add(-day),
		},
		{
			id: OtherSessionID, token: OtherSessionToken, userIdentifierKey: OtherUserIdentifierKey,
			workspaceID: OtherWorkspaceID,
		},
	}
	for i := range seeds {
		s := &seeds[i]
		s.createdAt = now.Add(-10*day + time.Duration(i)*time.Hour)
		if s.expiresAt.IsZero() {
			s.expiresAt = s.createdAt.Add(defaultLifetime)
		}
		s.workspaceID = cmp.Or(s.workspaceID, WorkspaceID)
		st.add(s)
	}
	return st
}
