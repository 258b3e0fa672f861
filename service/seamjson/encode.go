package seamjson

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// AppendRequest appends m as a request to Seam, without its unset fields. Responses are never encoded: the REST face
// returns those of Seam as they are.
func (c *Codec) AppendRequest(dst []byte, m proto.Message) ([]byte, error) {
	table, err := c.table(m)
	if err != nil {
		return dst, err
	}
	return table.append(slices.Grow(dst, usualRequestBytes), objectOf(m))
}

// usualRequestBytes is longer than most requests, so that encoding one allocates once.
const usualRequestBytes = 256

func (t *message) append(dst []byte, o object) ([]byte, error) {
	dst = append(dst, '{')
	first := len(dst)
	var err error
	for _, f := range t.fields {
		if o.isNull(f) {
			dst = append(comma(dst, first), f.quoted...)
			dst = append(dst, "null"...)
			continue
		}
		if f.list && f.kind != kindMessage {
			dst, err = f.appendList(dst, first, o)
		} else if v, has := o.get(f); has {
			dst, err = f.appendValue(append(comma(dst, first), f.quoted...), v)
		}
		if err != nil {
			return dst, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return append(dst, '}'), nil
}

// comma separates a member from those before it, if there are any: the first begins at the given offset.
func comma(dst []byte, first int) []byte {
	if len(dst) > first {
		return append(dst, ',')
	}
	return dst
}

// appendList appends the member for a list, if there is one to write.
func (f *field) appendList(dst []byte, first int, o object) ([]byte, error) {
	list, present := o.list(f)
	if !present || (len(list) == 0 && f.ids < 0) { // Only a list in a wrapper message can be empty and present.
		return dst, nil
	}
	dst = append(append(comma(dst, first), f.quoted...), '[')
	var err error
	for i, text := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = jsontext.AppendQuote(dst, text); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (f *field) appendValue(dst []byte, v protoreflect.Value) ([]byte, error) {
	switch f.kind {
	case kindString:
		return jsontext.AppendQuote(dst, v.String())
	case kindBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case kindTimestamp:
		stamp, ok := v.Message().Interface().(*timestamppb.Timestamp)
		if !ok {
			return dst, fmt.Errorf("unexpected type %T of a timestamp", v.Message().Interface())
		}
		if err := stamp.CheckValid(); err != nil {
			return dst, err
		}
		return appendTime(dst, stamp.AsTime()), nil
	default:
		return dst, fmt.Errorf("a request has no member such as %s", f.name)
	}
}

// appendTime writes a time as Seam does: UTC, with milliseconds, and with more digits only where they are not zero.
func appendTime(dst []byte, t time.Time) []byte {
	layout := `"2006-01-02T15:04:05.000Z"`
	switch nanos := t.Nanosecond(); {
	case nanos%1_000 != 0:
		layout = `"2006-01-02T15:04:05.000000000Z"`
	case nanos%1_000_000 != 0:
		layout = `"2006-01-02T15:04:05.000000Z"`
	}
	return t.UTC().AppendFormat(dst, layout)
}
