package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestAuditLog shows what the audit lines of calls have, whatever the level of the log is, and that neither a token nor
// a user identifier is in any of them.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	level := &slog.LevelVar{}
	level.Set(slog.LevelError)
	h := startWithCredential(t, func(cfg *config.Config) { cfg.AuditLog, cfg.LogLevel = true, level })
	const account = "c35ecf64-474a-466a-95a6-7b35cb4c8bb4"
	granted := fmt.Sprintf(`{"user_identifier_key":%q,"connected_account_ids":[%q]}`, sandbox.UserIdentifierKey, account)
	session := map[string]any{"client_session_id": sandbox.SessionID}
	for _, test := range []struct {
		name, path, body, token string
		// want are the members of the line, request and client_session those of its groups.
		want, request, session map[string]any
	}{
		{
			"granted", grantPath, granted, ordersToken,
			map[string]any{"caller": "orders", "credential": "service", "outcome": "done", "code": "OK"},
			map[string]any{"connected_account_ids": []any{account}},
			session,
		},
		{
			"read", "/client_sessions/get", `{"client_session_id":"` + sandbox.SessionID + `"}`, readerToken, map[string]any{"caller": "reader", "outcome": "done"}, session, session,
		},
		{
			"a list", "/client_sessions/list", `{}`, readerToken, map[string]any{"outcome": "done"}, nil, nil,
		},
		{
			"not allowed", grantPath, byID, readerToken,
			map[string]any{"caller": "reader", "outcome": "failed", "code": "PermissionDenied"},
			nil, nil,
		},
		{
			"not authenticated", grantPath, byID, "css_OTHER",
			map[string]any{"caller": "", "credential": nil, "outcome": "failed", "type": "unauthorized"},
			nil, nil,
		},
		{
			"a token for an id", grantPath, `{"client_session_id":"` + sandbox.SessionToken + `"}`, ordersToken,
			map[string]any{"outcome": "failed", "code": "NotFound"},
			map[string]any{"client_session_id": "(redacted)"},
			nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(h.log.String())
			h.send(http.MethodPost, test.path, test.body, "Authorization", "Bearer "+test.token)
			lines := auditLines(t, h.log.String()[before:])
			if len(lines) != 1 {
				t.Fatalf("%d lines: %s", len(lines), h.log)
			}
			for name, want := range test.want {
				if lines[0][name] != want {
					t.Errorf("%s is %v, want %v", name, lines[0][name], want)
				}
			}
			for group, members := range map[string]map[string]any{"request": test.request, "client_session": test.session} {
				got, _ := lines[0][group].(map[string]any)
				if len(members) == 0 && got != nil || members != nil && fmt.Sprint(members) != fmt.Sprint(only(got, members)) {
					t.Errorf("%s has %v, want %v", group, got, members)
				}
			}
		})
	}
	before := len(h.log.String())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+ordersToken)
	if _, err := h.client().GrantAccess(ctx, grantByID()); err != nil {
		t.Fatal(err)
	}
	lines := auditLines(t, h.log.String()[before:])
	if len(lines) != 1 || lines[0]["method"] != clientsessionv1.ClientSessionService_GrantAccess_FullMethodName {
		t.Errorf("over gRPC the lines are %v", lines)
	}
}

// only returns the members that others have as well.
func only(members, others map[string]any) map[string]any {
	found := map[string]any{}
	for name := range others {
		found[name] = members[name]
	}
	return found
}

// auditLines returns the audit lines of a log, and fails for one with a secret or a user identifier.
func auditLines(t *testing.T, log string) (lines []map[string]any) {
	t.Helper()
	t.Helper()
	for line := range strings.Lines(log) {
		var read map[string]any
		if json.Unmarshal([]byte(line), &read) != nil || read["msg"] != "audit" {
			continue
		}
		lines = append(lines, read)
		for _, secret := range append(secrets(), ordersToken, readerToken, "css_OTHER", sandbox.UserIdentifierKey) {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in the line %s", secret, line)
			}
		}
	}
	return lines
}
