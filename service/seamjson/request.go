package seamjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/service/service/seamerr"
)

// ReadRequest reads a request to Seam into m and is strict about it: an unknown member may be a misspelt restriction,
// so it is refused and not dropped; so are a null, a doubled member and anything after the object.
//
// The problems are what is wrong with the members, in the order in which the contract declares them, and m has the
// members that are right. The error is non-nil when the text is not one JSON value at all.
func (c *Codec) ReadRequest(data []byte, m proto.Message) ([]seamerr.Problem, error) {
	table, err := c.of(m)
	if err != nil {
		return nil, err
	}
	r := requestReader{dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	if kind := r.dec.PeekKind(); kind != '{' {
		if err := r.dec.SkipValue(); err != nil {
			return nil, syntax(err)
		}
		return []seamerr.Problem{{Message: "Expected object, received " + kindName(kind)}}, r.end()
	}
	problems, err := r.readObject(table, m.ProtoReflect())
	if err != nil {
		return nil, syntax(err)
	}
	return problems, r.end()
}

// maxReported bounds the problems of one list and the unknown members that are told of, so that a hostile body does not
// get an answer many times its own size.
const maxReported = 100

type requestReader struct {
	dec *jsontext.Decoder
}

// end makes sure that nothing follows the value.
func (r requestReader) end() error {
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

func (r requestReader) readObject(t *message, m protoreflect.Message) ([]seamerr.Problem, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	byField := map[*field][]seamerr.Problem{}
	var unknown []string
	for r.dec.PeekKind() == '"' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := token.String()
		f, known := t.byName[name]
		if !known {
			if len(unknown) < maxReported {
				unknown = append(unknown, quotable(name))
			}
			if err := r.dec.SkipValue(); err != nil {
				return nil, err
			}
			continue
		}
		problems, err := r.readField(f, m)
		if err != nil {
			return nil, err
		}
		if len(problems) > 0 {
			byField[f] = problems
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	var problems []seamerr.Problem
	for _, f := range t.fields {
		problems = append(problems, byField[f]...)
	}
	if len(unknown) > 0 {
		problems = append(problems, seamerr.Problem{
			Message: "Unrecognized key(s) in object: '" + strings.Join(unknown, "', '") + "'",
		})
	}
	return problems, nil
}

func (r requestReader) readField(f *field, m protoreflect.Message) ([]seamerr.Problem, error) {
	if f.descriptor.IsList() {
		return r.readList(f, m)
	}
	v, message, err := r.readValue(f)
	if err != nil {
		return nil, err
	}
	if message != "" {
		return []seamerr.Problem{{Path: []string{f.name}, Message: message}}, nil
	}
	m.Set(f.descriptor, v)
	return nil, nil
}

func (r requestReader) readList(f *field, m protoreflect.Message) ([]seamerr.Problem, error) {
	if kind := r.dec.PeekKind(); kind != '[' {
		return []seamerr.Problem{{
			Path:    []string{f.name},
			Message: "Expected array, received " + kindName(kind),
		}}, r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	list := m.Mutable(f.descriptor).List()
	var problems []seamerr.Problem
	count := 0
	for ; r.dec.PeekKind() != ']' && r.dec.PeekKind() != 0; count++ {
		v, message, err := r.readValue(f)
		if err != nil {
			return nil, err
		}
		if message == "" {
			list.Append(v)
		} else if len(problems) < maxReported {
			problems = append(problems, seamerr.Problem{
				Path:    []string{f.name, strconv.Itoa(count)},
				Message: message,
			})
		}
	}
	if f.exactlyOne && count != 1 {
		// Checked here and not only with the other rules: a message cannot tell an empty list from none.
		problems = slices.Insert(problems, 0, seamerr.Problem{Path: []string{f.name}, Message: seamerr.ExactlyOne})
	}
	_, err := r.dec.ReadToken()
	return problems, err
}

// readValue reads one value. The message is what is wrong with it, empty when nothing is.
func (r requestReader) readValue(f *field) (v protoreflect.Value, message string, err error) {
	if kind := r.dec.PeekKind(); !f.accepts(kind) {
		return v, fmt.Sprintf("Expected %s, received %s", f.expects(), kindName(kind)), r.dec.SkipValue()
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return v, "", err
	}
	v, err = f.value(token)
	if err != nil {
		return v, "Invalid datetime", nil //nolint:nilerr // The fault is the caller's: it is told in the message.
	}
	return v, "", nil
}

// quotable returns the name of an unknown member as it may be quoted. A caller that mixes up names and values could
// have put a credential there, and a hostile one anything.
func quotable(name string) string {
	if strings.HasPrefix(name, "seam_") || strings.HasPrefix(name, "ey") || len(name) > 64 {
		return "(not quoted)"
	}
	for _, r := range name {
		if r < ' ' || r == '\'' || r > '~' {
			return "(not quoted)"
		}
	}
	return name
}
