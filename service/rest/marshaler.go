package rest

import (
	"context"
	"errors"
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
	c, ok := callOf(ctx)
	if !ok {
		return nil, errors.New("the response is that of no call")
	}
	return c, nil
}

// marshaler hands the gateway what seamResponse gives it. It reads nothing: the parameters are read before, so to the
// gateway every body is empty.
type marshaler struct{}

func (marshaler) ContentType(any) string { return "application/json" }

func (marshaler) Marshal(v any) ([]byte, error) {
	c, ok := v.(*restCall)
	if !ok {
		return nil, fmt.Errorf("response of type %T is not that of a call", v)
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
	return errors.New("the gateway must not read requests")
}

func (marshaler) NewDecoder(io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(any) error { return io.EOF })
}
