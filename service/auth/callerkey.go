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
	return callerKeys{maphash.MakeSeed(), newCache[uint64, struct{}](maxAccepted)}
}

// of returns the key of a caller: by its name, or by its credential.
func (k callerKeys) of(caller string) uint64 { return maphash.String(k.seed, caller) }

// newCache returns a cache of a size, which has to be above zero.
func newCache[K comparable, V any](size int) *lru.Cache[K, V] {
	cache, err := lru.New[K, V](size)
	if err != nil {
		panic(err)
	}
	return cache
}
