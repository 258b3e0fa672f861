package rest

import (
	"context"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
)

// okResponse is written for a success of Seam without a body: Seam's SDKs for Java and Go fail on an empty one.
const okResponse = `{"ok":true}`

// seamResponse makes the gateway write Seam's own response in place of the decoded message, so that a caller gets it
// unchanged, members that the contract does not know yet included.
func seamResponse(ctx context.Context, _ proto.Message) (any, error) {
	return ctx.Value(callKey{}), nil
}

// marshaler hands the gateway the response of the call that seamResponse gives it. Of the rest of JSONBuiltin the
// gateway uses the content type alone.
type marshaler struct{ runtime.JSONBuiltin }

// Marshal implements runtime.Marshaler.
func (*marshaler) Marshal(v any) ([]byte, error) {
	c, ok := v.(*restCall)
	if !ok {
		return nil, fmt.Errorf("response of type %T is not that of a call", v)
	}
	if len(c.SeamBody) == 0 {
		return []byte(okResponse), nil
	}
	return c.SeamBody, nil
}

// NewDecoder implements runtime.Marshaler. It reads nothing: the parameters are read before, so to the gateway every
// body is empty.
func (*marshaler) NewDecoder(io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(any) error { return io.EOF })
}
