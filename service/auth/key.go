package auth

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
)

// Key is the service's own credential at Seam. It can change while the service runs.
type Key struct {
	header atomic.Pointer[http.Header]
}

// UseAPIKey makes text, an API key, the credential. It fails for what is none by its prefix: a key of another kind
// would be refused by Seam at the first call, or do other things than the operator thinks. The error does not quote it.
func (k *Key) UseAPIKey(text string) error {
	text = strings.TrimSpace(text)
	for _, other := range []string{"seam_cst", "seam_at", "seam_pk"} {
		if strings.HasPrefix(text, other) {
			return errors.New("the key begins with " + other + ", so it is no API key")
		}
	}
	if !strings.HasPrefix(text, "seam_") || !token(text) {
		return errors.New("an API key begins with seam_ and has letters, digits and _ only")
	}
	k.header.Store(&http.Header{"Authorization": {"Bearer " + text}})
	return nil
}

// UseAccessToken makes a personal access token, for one workspace, the credential.
func (k *Key) UseAccessToken(text, workspaceID string) error {
	if !strings.HasPrefix(text, "seam_at") || !token(text) {
		return errors.New("a personal access token begins with seam_at and has letters, digits and _ only")
	}
	if workspaceID == "" || !token(strings.ReplaceAll(workspaceID, "-", "")) {
		return errors.New("a personal access token needs the id of a workspace")
	}
	k.header.Store(&http.Header{"Authorization": {"Bearer " + text}, "Seam-Workspace": {workspaceID}})
	return nil
}

// Header returns the headers that go to Seam with every call. They are not to be changed.
func (k *Key) Header() http.Header { return *k.header.Load() }

// token says whether a text is one that Seam's keys can be.
func token(text string) bool {
	for _, r := range text {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return text != ""
}
