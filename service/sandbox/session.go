package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"
)

// session is one client session.
type session struct {
	id                  string
	workspaceID         string
	sequence            int
	token               string
	userIdentifierKey   string // userIdentifierKey is empty when there is none.
	connectWebviewIDs   []string
	connectedAccountIDs []string
	userIdentityID      string // userIdentityID is empty when there is none.
	customerKey         string // customerKey is empty when there is none.
	createdAt           time.Time
	expiresAt           time.Time
	revokedAt           time.Time // revokedAt is zero while the session is not revoked.
}

// store holds all data. The lock of the Sandbox guards it.
type store struct {
	apiKeys         map[string]string   // apiKeys maps to the id of a workspace.
	accessTokens    map[string][]string // accessTokens maps to the ids of workspaces.
	consoleTokens   map[string][]string // consoleTokens maps to the ids of workspaces.
	publishableKeys map[string]string   // publishableKeys maps to the id of a workspace.

	byID    map[string]*session
	byToken map[string]*session
	byKey   map[userKey][]*session // byKey lists sessions in no particular order.
	added   int
	made    uint64
}

// userKey is a user identifier key, which means something in one workspace.
type userKey struct {
	workspaceID string
	key         string
}

func newStore() *store {
	return &store{
		byID:    map[string]*session{},
		byToken: map[string]*session{},
		byKey:   map[userKey][]*session{},
	}
}

// add adds a session. Its id and token must be set.
func (st *store) add(s *session) {
	st.added++
	s.sequence = st.added
	st.byID[s.id] = s
	st.byToken[s.token] = s
	key := s.userIdentifierKey
	s.userIdentifierKey = ""
	st.setKey(s, key)
}

// remove removes a session and with it its token.
func (st *store) remove(s *session) {
	st.setKey(s, "")
	delete(st.byID, s.id)
	delete(st.byToken, s.token)
}

// setKey gives a session another user identifier key, or none.
func (st *store) setKey(s *session, key string) {
	if old := (userKey{s.workspaceID, s.userIdentifierKey}); old.key != "" {
		st.byKey[old] = slices.DeleteFunc(st.byKey[old], func(other *session) bool { return other == s })
		if len(st.byKey[old]) == 0 {
			delete(st.byKey, old)
		}
	}
	s.userIdentifierKey = key
	if key != "" {
		owner := userKey{s.workspaceID, key}
		st.byKey[owner] = append(st.byKey[owner], s)
	}
}

// find returns the session of an id, or nil when the workspace has none.
func (st *store) find(workspaceID, id string) *session {
	s := st.byID[storedID(id)]
	if s == nil || s.workspaceID != workspaceID {
		return nil
	}
	return s
}

// all returns the sessions of a workspace in the order of a list.
func (st *store) all(workspaceID string) []*session {
	var sessions []*session
	for _, s := range st.byID {
		if s.workspaceID == workspaceID {
			sessions = append(sessions, s)
		}
	}
	slices.SortFunc(sessions, listOrder)
	return sessions
}

// newID makes the next id. Ids come from a counter and are not random, so that
// they are the same after every reset.
func (st *store) newID() string {
	sum := st.nextSum("id")
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// newToken makes the next client session token.
func (st *store) newToken() string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := st.nextSum("token")
	token := []byte("seam_cst1")
	for _, b := range sum {
		token = append(token, letters[int(b)%len(letters)])
	}
	return string(token)
}

func (st *store) nextSum(purpose string) [sha256.Size]byte {
	st.made++
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("sandbox "+purpose+" "), st.made))
}

// grant adds ids to a list, each once and in the order of their arrival.
func grant(list, ids []string) []string {
	for _, id := range ids {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// sessionJSON is a session in JSON. The members without omitempty are in every
// response.
type sessionJSON struct {
	ClientSessionID     string   `json:"client_session_id"`
	ConnectWebviewIDs   []string `json:"connect_webview_ids"`
	ConnectedAccountIDs []string `json:"connected_account_ids"`
	CreatedAt           string   `json:"created_at"`
	CustomerKey         string   `json:"customer_key,omitempty"`
	DeviceCount         int      `json:"device_count"`
	ExpiresAt           string   `json:"expires_at"`
	Token               string   `json:"token"`
	UserIdentifierKey   *string  `json:"user_identifier_key"`
	UserIdentityID      string   `json:"user_identity_id,omitempty"`
	UserIdentityIDs     []string `json:"user_identity_ids"`
	WorkspaceID         string   `json:"workspace_id"`
}

// toJSON copies the session, so that the response can be written after the
// lock is released.
func (s *session) toJSON() sessionJSON {
	j := sessionJSON{
		ClientSessionID:     s.id,
		ConnectWebviewIDs:   append([]string{}, s.connectWebviewIDs...),
		ConnectedAccountIDs: append([]string{}, s.connectedAccountIDs...),
		CreatedAt:           timestamp(s.createdAt),
		CustomerKey:         s.customerKey,
		DeviceCount:         deviceCount(s),
		ExpiresAt:           timestamp(s.expiresAt),
		Token:               s.token,
		UserIdentityID:      s.userIdentityID,
		UserIdentityIDs:     s.identities(),
		WorkspaceID:         s.workspaceID,
	}
	if s.userIdentifierKey != "" {
		j.UserIdentifierKey = new(s.userIdentifierKey)
	}
	return j
}

// identities lists the user identity, of which a session has one at most.
func (s *session) identities() []string {
	if s.userIdentityID == "" {
		return []string{}
	}
	return []string{s.userIdentityID}
}
