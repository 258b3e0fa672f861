package interceptor

import (
	"slices"
	"sync"
)

// chunkBytes is the size of a part of a body in memory. Nearly all bodies have one part.
const chunkBytes = 16 << 10

// chunks are the parts that no body uses. They are kept, so that requests which never come whole make no work for the
// garbage collector, whose memory would be that of many more requests.
var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }} //nolint:gochecknoglobals // It has no state.

// body is what has come of the body of a request.
type body struct {
	parts  []*[chunkBytes]byte
	first  [1]*[chunkBytes]byte // Where parts begins, so that a short body needs no list.
	length int
}

// room returns where the next bytes go.
func (b *body) room() []byte {
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

// add notes that n bytes came.
func (b *body) add(n int) { b.length += n }

// bytes returns the whole body. It is good until free.
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
