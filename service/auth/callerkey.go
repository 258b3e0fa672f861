package auth

import (
	"hash/maphash"

	lru "github.com/hashicorp/golang-lru/v2"
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

// of returns the key of a caller: by its name, or by its credential.
func (k callerKeys) of(caller string) uint64 { return maphash.String(k.seed, caller) }
