package seamjson

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// accepts reports whether a JSON value of the kind can be read into one element of the field.
func (f *field) accepts(kind jsontext.Kind) bool { return kindName(kind) == f.expects() }

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

// syntax returns a syntax error with its position and without a quotation of the text.
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

// syntaxOr returns the syntax error of the next token if it has one, else err: a malformed token has no type that could
// be the wrong one.
func syntaxOr(dec *jsontext.Decoder, err error) error {
	if dec.PeekKind() == 0 {
		_, malformed := dec.ReadToken()
		return syntax(malformed)
	}
	return err
}
