package callinfo

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/google/uuid"
)

// HeaderRequestID is the customary header for the id of a request: a caller may send one, and each response has one.
const HeaderRequestID = "x-request-id"

// RequestID returns the id of a request that has these values of the header: the caller's own, if it sent one that is
// valid in a log line and a header, else a new UUID.
func RequestID(values []string) string {
	if len(values) == 1 && wellFormed(values[0]) {
		return values[0]
	}
	return newRequestID()
}

func wellFormed(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}

// newRequestID returns a random UUID. It only has to differ from others, so no entropy of the kernel is spent on it.
func newRequestID() string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // Nobody gains by guessing it.
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // The same.
	id[6] = id[6]&0x0f | 0x40                         // Version 4,
	id[8] = id[8]&0x3f | 0x80                         // of the variant of RFC 9562.
	return id.String()
}
