package call

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"

	"github.com/clientsession/client-session-service/service/text"
)

// HeaderCallID is the customary header for the id of a request: a caller may send one, and each response has one.
const HeaderCallID = "x-request-id"

// NewCallID returns the id of a request that has these values of the header: the caller's own, if it sent one that is
// valid in a log line and a header, else a new UUID.
func NewCallID(values []string) string {
	if len(values) == 1 && wellFormed(values[0]) {
		return values[0]
	}
	return newUUID()
}

func wellFormed(id string) bool {
	return id != "" && len(id) <= text.MaxRequestIDBytes && text.IsPrintable(id) && !strings.Contains(id, " ")
}

// newUUID returns a random UUID. It only has to differ from others, so no entropy of the kernel is spent on it.
func newUUID() string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // Nobody gains by guessing it.
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // The same.
	id[6] = id[6]&0x0f | 0x40                         // Version 4,
	id[8] = id[8]&0x3f | 0x80                         // of the variant of RFC 9562.
	return id.String()
}
