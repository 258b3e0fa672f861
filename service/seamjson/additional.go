package seamjson

import (
	"errors"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// maxAdditionalBytes bounds the members of one session that the contract does not know, and maxAdditionalDepth how
	// deep they nest: protobuf in other languages reads no more than 100 levels of messages, of which each level of JSON
	// is two.
	maxAdditionalBytes, maxAdditionalDepth = 64 << 10, 32
)

// additionalMembers are the members of an object that the contract does not know.
type additionalMembers struct {
	fields map[string]*structpb.Value
	bytes  int
}

// add adds a member, whose value is passed as bytes and as a string. It drops a member that a google.protobuf.Struct
// cannot represent: the rest of the response is still of use.
func (a *additionalMembers) add(c *Codec, name string, data []byte, text string) {
	a.bytes += len(name) + len(text)
	if a.bytes > maxAdditionalBytes {
		return
	}
	r := c.newReader(data, text, c.lenient...)
	defer c.release(r)
	value, err := r.readStructValue(maxAdditionalDepth)
	if err != nil {
		return
	}
	if a.fields == nil {
		a.fields = map[string]*structpb.Value{}
	}
	a.fields[name] = value
}

// set puts the members into the field of the message for them.
func (a *additionalMembers) set(o object, f *field) {
	if len(a.fields) > 0 {
		o.set(f, protoreflect.ValueOfMessage((&structpb.Struct{Fields: a.fields}).ProtoReflect()))
	}
}

var errTooDeep = errors.New("the JSON nests too deep")

// readStructValue reads a value of a google.protobuf.Struct that nests no deeper than levels.
func (r *reader) readStructValue(levels int) (*structpb.Value, error) {
	switch kind := r.PeekKind(); {
	case kind == '"':
		text, err := r.readString()
		return structpb.NewStringValue(text), err
	case kind == '0':
		text, err := r.ReadValue()
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseFloat(r.stringOf(text), 64)
		return structpb.NewNumberValue(number), err
	case (kind == '{' || kind == '[') && levels == 0:
		return nil, errTooDeep
	case kind == '{':
		fields, err := r.readStructFields(levels - 1)
		return structpb.NewStructValue(&structpb.Struct{Fields: fields}), err
	case kind == '[':
		values, err := r.readStructValues(levels - 1)
		return structpb.NewListValue(&structpb.ListValue{Values: values}), err
	default:
		token, err := r.ReadToken()
		if err != nil || kind == 'n' {
			return structpb.NewNullValue(), err
		}
		return structpb.NewBoolValue(token.Bool()), nil
	}
}

func (r *reader) readStructFields(levels int) (map[string]*structpb.Value, error) {
	if _, err := r.ReadToken(); err != nil {
		return nil, err
	}
	fields := map[string]*structpb.Value{}
	for r.PeekKind() == '"' {
		name, err := r.readString()
		if err != nil {
			return nil, err
		}
		if fields[name], err = r.readStructValue(levels); err != nil {
			return nil, err
		}
	}
	_, err := r.ReadToken()
	return fields, err
}

func (r *reader) readStructValues(levels int) ([]*structpb.Value, error) {
	if _, err := r.ReadToken(); err != nil {
		return nil, err
	}
	var values []*structpb.Value
	for r.PeekKind() != ']' {
		value, err := r.readStructValue(levels)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	_, err := r.ReadToken()
	return values, err
}
