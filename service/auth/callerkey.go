package auth

import (
	"hash/maphash"
	"net/http"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/clientsession/client-session-service/service/seam"
)

// maxAccepted bounds the memory for accepted credentials to less than 1 MB.
const maxAccepted = 10_000

// callerKeys identifies callers by seeded hashes, for which no client can find a collision, and caches which
// credentials Seam has accepted. It keeps no credential.
type callerKeys struct {
	seed     maphash.Seed
	accepted *lru.Cache[uint64, struct{}]
}

func newCallerKeys() callerKeys {
	accepted, err := lru.New[uint64, struct{}](maxAccepted)
	if err != nil {
		panic(err) // Only for a size below one.
	}
	return callerKeys{maphash.MakeSeed(), accepted}
}

// ofName returns the key of an authenticated caller.
func (k callerKeys) ofName(name string) uint64 { return maphash.String(k.seed, name) }

// ofHeader returns the key of the caller with the credentials in a header for Seam. The same credential is the same
// caller, whichever header carried it.
func (k callerKeys) ofHeader(header http.Header) uint64 {
	var few [2]string
	credentials := few[:0]
	for _, h := range seam.Headers() {
		if !h.Credential {
			continue
		}
		for _, value := range header[h.Key] {
			value = strings.TrimSpace(value)
			// What stands before the last word is the scheme. The value is printable ASCII, which has one kind of space.
			if credential := value[strings.LastIndexByte(value, ' ')+1:]; credential != "" {
				credentials = append(credentials, credential)
			}
		}
	}
	slices.Sort(credentials)
	var hash maphash.Hash
	hash.SetSeed(k.seed)
	for _, credential := range slices.Compact(credentials) {
		_, _ = hash.WriteString(credential) // It never fails.
		_ = hash.WriteByte(' ')
	}
	return hash.Sum64()
}
