package rest

import (
	"errors"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/service/service/seamjson"
)

// marshaler writes answers in Seam's JSON for the gateway. It reads nothing: the parameters are read inside of the
// call (see inProcess), so to the gateway every body is empty.
type marshaler struct {
	codec *seamjson.Codec
}

func (marshaler) ContentType(any) string { return "application/json" }

func (m marshaler) Marshal(v any) ([]byte, error) {
	message, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("answer of type %T is no message", v)
	}
	return m.codec.AppendAnswer(nil, message)
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
