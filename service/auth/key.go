package auth

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
)

// Key is the service credential. It can be reloaded while the service runs.
type Key struct {
	header atomic.Pointer[http.Header]
}

// The characters of Seam's keys and ids are those of a word.
var (
	apiKey      = regexp.MustCompile(`^seam_\w*$`)
	accessToken = regexp.MustCompile(`^seam_at\w*$`)
	workspace   = regexp.MustCompile(`^-*\w[\w-]*$`)
)

// UseAPIKey makes an API key the credential. It fails for a key of another kind, by its prefix: Seam would refuse it at
// the first call, or it would have other rights than the operator expects. The error does not quote it.
func (k *Key) UseAPIKey(text string) error {
	text = strings.TrimSpace(text)
	for _, other := range []string{"seam_cst", "seam_at", "seam_pk"} {
		if strings.HasPrefix(text, other) {
			return errors.New("the key begins with " + other + ", so it is not an API key")
		}
	}
	if !apiKey.MatchString(text) {
		return errors.New("an API key begins with seam_ and has letters, digits and _ only")
	}
	k.header.Store(&http.Header{"Authorization": {"Bearer " + text}})
	return nil
}

// UseAccessToken makes a personal access token, for one workspace, the credential.
func (k *Key) UseAccessToken(text, workspaceID string) error {
	if !accessToken.MatchString(text) {
		return errors.New("a personal access token begins with seam_at and has letters, digits and _ only")
	}
	if !workspace.MatchString(workspaceID) {
		return errors.New("a personal access token needs the id of a workspace")
	}
	k.header.Store(&http.Header{"Authorization": {"Bearer " + text}, "Seam-Workspace": {workspaceID}})
	return nil
}

// Header returns the headers that go to Seam with every call. They must not be changed.
func (k *Key) Header() http.Header { return *k.header.Load() }
