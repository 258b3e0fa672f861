package seamjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Envelope is the part of Seam's response that is not in the message.
type Envelope struct {
	// Empty is true for an object without members.
	Empty bool
	// OK is true when `ok` is true, and NotOK when it is false. Error is true when there is an `error`.
	OK, NotOK, Error bool
	// Session and Sessions are true when there is a `client_session` object, a `client_sessions` array.
	Session, Sessions bool
	// Skipped are the names, 10 at the most, of documented members that had another type: they are unset.
	Skipped []string
}

const maxSkipped = 10

func (e *Envelope) skip(name string) {
	if len(e.Skipped) < maxSkipped && !slices.Contains(e.Skipped, name) {
		e.Skipped = append(e.Skipped, name)
	}
}

// UnmarshalResponse reads a response of Seam into m. Seam has applied the request, so it is lenient: null is
// the same as absent, a member of another type than documented is left unset, and the members of a session that are not
// documented go into its additional_members. It fails for text that is not one JSON object, and for a list with an
// element that is no session. Its errors name the member and never quote a value.
func (c *Codec) UnmarshalResponse(data []byte, m proto.Message) (Envelope, error) {
	table, err := c.table(m)
	if err != nil {
		return Envelope{}, err
	}
	return c.readResponse(data, string(data), table, objectOf(m))
}

// CheckResponse is UnmarshalResponse without the message, for REST, which returns the text as it is. It uses only the
// type of m.
func (c *Codec) CheckResponse(data []byte, m proto.Message) (Envelope, error) {
	table, err := c.table(m)
	if err != nil {
		return Envelope{}, err
	}
	return c.readResponse(data, "", table, object{})
}

func (c *Codec) readResponse(data []byte, text string, table *message, o object) (Envelope, error) {
	var envelope Envelope
	dec := c.newReader(data, text, c.lenient...)
	defer c.release(dec)
	if kind := dec.PeekKind(); kind != '{' {
		return envelope, syntaxOr(&dec.Decoder, fmt.Errorf("expected an object, found %s", kindName(kind)))
	}
	r := responseReader{dec, c, &envelope}
	if err := r.readEnvelope(table, o); err != nil {
		return envelope, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return envelope, errors.New("there is more after the JSON object")
	}
	return envelope, nil
}

type responseReader struct {
	*reader

	codec    *Codec
	envelope *Envelope
}

// readEnvelope reads the top-level object of the response.
func (r responseReader) readEnvelope(t *message, o object) error {
	if _, err := r.ReadToken(); err != nil {
		return syntax(err)
	}
	r.envelope.Empty = r.PeekKind() == '}'
	for r.PeekKind() == '"' {
		name, err := r.ReadValue()
		if err != nil {
			return syntax(err)
		}
		f, known := t.field(name)
		isOK, isError := string(name) == `"ok"`, string(name) == `"error"`
		kind := r.PeekKind() // It invalidates name.
		switch {
		case isOK:
			r.envelope.OK, r.envelope.NotOK = kind == 't', r.envelope.NotOK || kind == 'f'
		case isError:
			r.envelope.Error = r.envelope.Error || kind != 'n'
		case known && f.list:
			r.envelope.Sessions = kind == '['
		case known:
			r.envelope.Session = kind == '{'
		}
		if err := r.readMember(f, known, o); err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return syntax(err)
}

// readMember reads the value of a known member, and skips that of any other.
func (r responseReader) readMember(f *field, known bool, o object) error {
	if !known || r.PeekKind() == 'n' {
		return syntax(r.SkipValue())
	}
	if err := r.read(f, o); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// readSession reads an object within the response.
func (r responseReader) readSession(t *message, o object) error {
	if _, err := r.ReadToken(); err != nil {
		return syntax(err)
	}
	var additional additionalMembers
	for r.PeekKind() == '"' {
		name, err := r.ReadValue()
		if err != nil {
			return syntax(err)
		}
		f, known := t.field(name)
		if !known && t.additional != nil && o.IsValid() {
			text := r.unquoted(name) // Before the next read, which invalidates name.
			value, err := r.ReadValue()
			if err != nil {
				return syntax(err)
			}
			additional.add(r.codec, text, value, r.stringOf(value))
			continue
		}
		if err := r.readMember(f, known, o); err != nil {
			return err
		}
	}
	additional.set(o, t.additional)
	_, err := r.ReadToken()
	return syntax(err)
}

// field returns the field of a member by its quoted name in the JSON text. A name without escapes, which is the usual
// one, is looked up without an allocation.
func (t *message) field(quoted jsontext.Value) (*field, bool) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		f, known := t.byName[string(quoted[1:len(quoted)-1])]
		return f, known
	}
	f, known := t.byName[unquote(quoted)]
	return f, known
}

func (r responseReader) read(f *field, o object) error {
	if f.list {
		return r.readList(f, o)
	}
	if kind := r.PeekKind(); !f.accepts(kind) && (f.kind != kindInt || kind != '"') {
		return r.skip(f, kind)
	}
	if f.kind == kindMessage {
		return r.readSession(f.nested, o.newMessage(f))
	}
	if f.kind == kindString && !o.IsValid() {
		return syntax(r.SkipValue())
	}
	v, ok, err := r.lenientValue(f)
	if err != nil {
		return syntax(err)
	}
	if ok {
		o.set(f, v)
	} else {
		r.envelope.skip(f.name)
	}
	return nil
}

// skip skips a value of another type than documented. A malformed value has no type, and gives a syntax error.
func (r responseReader) skip(f *field, kind jsontext.Kind) error {
	if kind != 0 {
		r.envelope.skip(f.name)
	}
	return syntax(r.SkipValue())
}

func (r responseReader) readList(f *field, o object) error {
	if kind := r.PeekKind(); kind != '[' {
		return r.skip(f, kind)
	}
	if _, err := r.ReadToken(); err != nil {
		return syntax(err)
	}
	o.clear(f)
	for r.PeekKind() != ']' {
		kind := r.PeekKind()
		switch {
		case f.accepts(kind) && f.kind == kindMessage:
			if err := r.readSession(f.nested, o.newMessage(f)); err != nil {
				return err
			}
		case f.accepts(kind) && o.IsValid():
			text, err := r.readString()
			if err != nil {
				return syntax(err)
			}
			o.appendTo(f, text)
		case f.accepts(kind):
			if err := r.SkipValue(); err != nil {
				return syntax(err)
			}
		case f.kind == kindMessage:
			// A list without that session would claim that it does not exist.
			return syntaxOr(&r.Decoder, fmt.Errorf("expected object, found %s", kindName(kind)))
		default:
			if err := r.skip(f, kind); err != nil {
				return err
			}
		}
	}
	_, err := r.ReadToken()
	return syntax(err)
}

// lenientValue converts a value to the type of the field; ok is false where it cannot.
func (r responseReader) lenientValue(f *field) (v protoreflect.Value, ok bool, err error) {
	kind := r.PeekKind()
	if f.kind == kindBool {
		return protoreflect.ValueOfBool(kind == 't'), true, r.SkipValue()
	}
	var text string
	if kind == '"' {
		text, err = r.readString()
	} else {
		var number jsontext.Value
		number, err = r.ReadValue()
		text = r.stringOf(number)
	}
	if err != nil {
		return v, false, err
	}
	switch f.kind {
	case kindInt:
		number, notNumber := strconv.ParseFloat(text, 64)
		ok := notNumber == nil && number >= math.MinInt32 && number <= math.MaxInt32 // Nor is it NaN.
		return protoreflect.ValueOfInt32(int32(number)), ok, nil
	case kindTimestamp:
		instant, ok := lenientTime(text)
		if !ok {
			return v, false, nil
		}
		return protoreflect.ValueOfMessage(timestamppb.New(instant).ProtoReflect()), true, nil
	default:
		return protoreflect.ValueOfString(text), true, nil
	}
}

// lenientTime reads a time of RFC 3339, also one whose offset is written in another way of ISO 8601.
func lenientTime(text string) (time.Time, bool) {
	const local = "2006-01-02T15:04:05"
	for _, layout := range []string{time.RFC3339, local + "Z0700", local + "Z07", local + "Z07:00:00"} {
		if instant, err := time.Parse(layout, text); err == nil {
			year := instant.UTC().Year() // A Timestamp has the years 1 to 9999.
			return instant, year >= 1 && year <= 9999
		}
	}
	return time.Time{}, false
}
