package seamjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ReadAnswer reads an answer of Seam into m. It is lenient where Seam may grow: unknown members are passed over, and
// null is the same as absent. It fails for text that is not one JSON object and for a known member of another type;
// its errors name the member and never quote a value.
func (c *Codec) ReadAnswer(data []byte, m proto.Message) error {
	table, err := c.of(m)
	if err != nil {
		return err
	}
	// Seam's answer has happened: a doubled member or a stray byte in a text is no reason to lose it.
	dec := jsontext.NewDecoder(bytes.NewBuffer(data),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := dec.PeekKind(); kind != '{' {
		return syntaxOr(dec, fmt.Errorf("expected an object, found %s", kindName(kind)))
	}
	if err := table.readAnswer(dec, m.ProtoReflect()); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON object")
	}
	return nil
}

func (t *message) readAnswer(dec *jsontext.Decoder, m protoreflect.Message) error {
	if _, err := dec.ReadToken(); err != nil {
		return syntax(err)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return syntax(err)
		}
		f, known := t.field(name)
		if !known || dec.PeekKind() == 'n' {
			if err := dec.SkipValue(); err != nil {
				return syntax(err)
			}
			continue
		}
		if err := f.readAnswer(dec, m); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	_, err := dec.ReadToken()
	return syntax(err)
}

// field finds the field of a member by its name as it stands in the JSON, quotes and all. Names that are written with
// escapes are as good as any; nobody writes them so, and the others are found without making a text of them.
func (t *message) field(quoted jsontext.Value) (*field, bool) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		f, known := t.byName[string(quoted[1:len(quoted)-1])]
		return f, known
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil, false
	}
	f, known := t.byName[string(name)]
	return f, known
}

func (f *field) readAnswer(dec *jsontext.Decoder, m protoreflect.Message) error {
	if !f.descriptor.IsList() {
		v, err := f.readAnswerValue(dec, m, nil)
		if err != nil {
			return err
		}
		m.Set(f.descriptor, v)
		return nil
	}
	if kind := dec.PeekKind(); kind != '[' {
		return syntaxOr(dec, fmt.Errorf("expected an array, found %s", kindName(kind)))
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntax(err)
	}
	list := m.NewField(f.descriptor).List()
	for dec.PeekKind() != ']' {
		v, err := f.readAnswerValue(dec, m, list)
		if err != nil {
			return err
		}
		list.Append(v)
	}
	m.Set(f.descriptor, protoreflect.ValueOfList(list))
	_, err := dec.ReadToken()
	return syntax(err)
}

// readAnswerValue reads one value: of the field of m, or, where list is not nil, for that list.
func (f *field) readAnswerValue(
	dec *jsontext.Decoder, m protoreflect.Message, list protoreflect.List,
) (protoreflect.Value, error) {
	var none protoreflect.Value
	kind := dec.PeekKind()
	if !f.accepts(kind) {
		return none, syntaxOr(dec, fmt.Errorf("expected %s, found %s", f.expects(), kindName(kind)))
	}
	if f.kind == kindMessage {
		var nested protoreflect.Value
		if list != nil {
			nested = list.NewElement()
		} else {
			nested = m.NewField(f.descriptor)
		}
		return nested, f.nested.readAnswer(dec, nested.Message())
	}
	token, err := dec.ReadToken()
	if err != nil {
		return none, syntax(err)
	}
	return f.value(token)
}

// value turns a token of an accepted kind into the field's value.
func (f *field) value(token jsontext.Token) (protoreflect.Value, error) {
	var none protoreflect.Value
	switch f.kind {
	case kindBool:
		return protoreflect.ValueOfBool(token.Bool()), nil
	case kindInt:
		number, err := token.Float()
		if err != nil || number != math.Trunc(number) || number < math.MinInt32 || number > math.MaxInt32 {
			return none, errors.New("expected an integer of 32 bits")
		}
		return protoreflect.ValueOfInt32(int32(number)), nil
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
