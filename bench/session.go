package main

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// The call that is measured: a grant, by the id of the session. The credentials open nothing.
const (
	grantPath     = "/client_sessions/grant_access"
	listPath      = "/client_sessions/list"
	sessionID     = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	accountID     = "c35ecf64-474a-466a-95a6-7b35cb4c8bb4"
	workspaceID   = "5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"
	userKey       = "jane_doe"
	clientSession = "seam_cst1BenchFirst000000000000000000000"
	apiKey        = "seam_bench1_0123456789abcdef0123456789"
	grantBody     = `{"client_session_id":"` + sessionID + `","connected_account_ids":["` + accountID + `"]}`

	// sessionJSON is a session as Seam writes it.
	sessionJSON = `{"client_session_id":"` + sessionID + `","workspace_id":"` + workspaceID + `",` +
		`"created_at":"2026-01-02T03:04:05.000Z","expires_at":"2027-01-02T03:04:05.000Z",` +
		`"token":"` + clientSession + `","user_identifier_key":"` + userKey + `","device_count":2,` +
		`"connect_webview_ids":[],"connected_account_ids":["` + accountID + `"],"user_identity_ids":[]}`
)

func grantResponseJSON() string { return `{"client_session":` + sessionJSON + `,"ok":true}` }

func listResponseJSON(sessions int) string {
	list := strings.TrimSuffix(strings.Repeat(sessionJSON+",", sessions), ",")
	return `{"client_sessions":[` + list + `],"ok":true}`
}

func grantRequest() *clientsessionv1.GrantAccessRequest {
	return &clientsessionv1.GrantAccessRequest{ClientSessionId: new(sessionID), ConnectedAccountIds: []string{accountID}}
}

// grantResponse is the message that the JSON of the grant stands for.
func grantResponse() *clientsessionv1.GrantAccessResponse {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &clientsessionv1.GrantAccessResponse{Ok: true, ClientSession: &clientsessionv1.ClientSession{
		ClientSessionId: sessionID, WorkspaceId: workspaceID,
		CreatedAt: timestamppb.New(created), ExpiresAt: timestamppb.New(created.AddDate(1, 0, 0)),
		Token: clientSession, UserIdentifierKey: new(userKey),
		DeviceCount: 2, ConnectedAccountIds: []string{accountID},
	}}
}
