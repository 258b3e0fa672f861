package rest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
)

// okResponse is the response to a request that Seam answered without a body: Seam's SDKs for Java and Go fail on none.
const okResponse = `{"ok":true}`

// seamResponse has the gateway write Seam's own response in place of the message that was made of it, so that a caller
// gets whatever Seam says, also what the contract does not know yet, in Seam's own words.
func seamResponse(ctx context.Context, _ proto.Message) (any, error) {
	c, ok := callFrom(ctx)
	if !ok {
		return nil, errors.New("the response is that of no call")
	}
	return c, nil
}

// marshaler hands the gateway what seamResponse gives it. It reads nothing: the parameters are read inside of the call
// (see inProcess), so to the gateway every body is empty.
type marshaler struct{}

func (marshaler) ContentType(any) string { return "application/json" }

func (marshaler) Marshal(v any) ([]byte, error) {
	c, ok := v.(*call)
	if !ok {
		return nil, fmt.Errorf("response of type %T is no call's", v)
	}
	return c.response(), nil
}

func (m marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		text, err := m.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

func (marshaler) Unmarshal([]byte, any) error {
	return errors.New("the gateway reads no requests here")
}

func (marshaler) NewDecoder(io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(any) error { return io.EOF })
}
