package call

import (
	"slices"
	"sync"
)

const (
	// MaxRequestBytes bounds the body of a request on both faces. The largest legitimate one, with some thousand ids, is
	// under it.
	MaxRequestBytes = 128 << 10

	// maxPublicRequestBytes bounds the body of a request to a public method: a health check has the name of a service.
	maxPublicRequestBytes = 4 << 10
)

// chunkBytes is the size of a part of a body in memory. Nearly all bodies have one part.
const chunkBytes = 16 << 10

// chunks are the free parts. They are reused, so that requests which never arrive completely leave no garbage: until it
// is collected, its memory would be that of many more requests.
var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }} //nolint:gochecknoglobals // It has no state.

// body is the part of a request's body that has arrived.
type body struct {
	parts  []*[chunkBytes]byte
	first  [1]*[chunkBytes]byte // The first element of parts, so that a short body allocates no list.
	length int
}

// space returns the free space for the next bytes.
func (b *body) space() []byte {
	if b.length == len(b.parts)*chunkBytes {
		chunk, ok := chunks.Get().(*[chunkBytes]byte)
		if !ok {
			chunk = new([chunkBytes]byte)
		}
		if b.parts == nil {
			b.parts = b.first[:0]
		}
		b.parts = append(b.parts, chunk)
	}
	return b.parts[len(b.parts)-1][b.length%chunkBytes:]
}

// add adds n bytes that were read into the space.
func (b *body) add(n int) { b.length += n }

// bytes returns the whole body. It is valid until free.
func (b *body) bytes() []byte {
	if len(b.parts) == 0 {
		return nil
	}
	if len(b.parts) == 1 {
		return b.parts[0][:b.length]
	}
	slicesOf := make([][]byte, len(b.parts))
	for i, part := range b.parts {
		slicesOf[i] = part[:]
	}
	return slices.Concat(slicesOf...)[:b.length]
}

func (b *body) free() {
	for _, part := range b.parts {
		chunks.Put(part)
	}
	b.parts, b.length = nil, 0
}
