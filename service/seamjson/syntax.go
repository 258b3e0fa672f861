package seamjson

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// value turns a token of an accepted kind into the value of a field of a request.
func (f *field) value(token jsontext.Token) (protoreflect.Value, error) {
	var none protoreflect.Value
	switch f.kind {
	case kindBool:
		return protoreflect.ValueOfBool(token.Bool()), nil
	case kindTimestamp:
		instant, err := time.Parse(time.RFC3339, token.String())
		if err != nil {
			return none, errInvalidTime
		}
		stamp := timestamppb.New(instant)
		if err := stamp.CheckValid(); err != nil {
			return none, errInvalidTime
		}
		return protoreflect.ValueOfMessage(stamp.ProtoReflect()), nil
	default:
		return protoreflect.ValueOfString(token.String()), nil
	}
}

var errInvalidTime = errors.New("expected a date and time of RFC 3339")

// accepts says whether a JSON value of the kind can be read into one element of the field.
func (f *field) accepts(kind jsontext.Kind) bool {
	switch f.kind {
	case kindBool:
		return kind == 't' || kind == 'f'
	case kindInt:
		return kind == '0'
	case kindMessage:
		return kind == '{'
	default:
		return kind == '"'
	}
}

// expects names the JSON type of one element of the field in Seam's words.
func (f *field) expects() string {
	switch f.kind {
	case kindBool:
		return "boolean"
	case kindInt:
		return "number"
	case kindMessage:
		return "object"
	default:
		return "string"
	}
}

// kindName names a JSON type in Seam's words.
func kindName(kind jsontext.Kind) string {
	switch kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '0':
		return "number"
	case '{':
		return "object"
	case '[':
		return "array"
	default:
		return "nothing"
	}
}

// syntax turns a fault of the JSON text into an error that tells where it is and quotes nothing of the text.
func syntax(err error) error {
	if err == nil {
		return nil
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the JSON ends early, at byte %d", syntactic.ByteOffset)
		}
		return fmt.Errorf("not JSON at byte %d", syntactic.ByteOffset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends early")
	}
	return errors.New("not JSON")
}

// syntaxOr returns the fault of the JSON text if the next token has one, else err: a text that is broken here has no
// type to complain of.
func syntaxOr(dec *jsontext.Decoder, err error) error {
	if dec.PeekKind() == 0 {
		_, broken := dec.ReadToken()
		return syntax(broken)
	}
	return err
}
