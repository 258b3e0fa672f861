package seamjson

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// UnmarshalRequest reads a request to Seam into m and is strict about it: an unknown member may be a misspelt
// restriction, so it is refused and not dropped; so are a null, a doubled member and anything after the object.
//
// The problems are what is wrong with the members, in the order in which the contract declares them, and m has the
// members that are right. The error is non-nil when the text is not one JSON value at all.
//
// Parameters may also stand in the query string, for the requests that Seam reads from there; the body wins. A query
// that is wrong as such is an *seamerr.Error, and so is a body that is JSON and no object.
func (c *Codec) UnmarshalRequest(body []byte, query string, m proto.Message) ([]seamerr.FieldViolation, error) {
	table, err := c.table(m)
	if err != nil {
		return nil, err
	}
	given := &decodedRequest{message: m.ProtoReflect(), byField: map[*field][]seamerr.FieldViolation{}}
	if len(body) > 0 {
		if err := given.readBody(table, body); err != nil {
			return nil, err
		}
	}
	if query != "" {
		if err := given.readQuery(table, query); err != nil {
			return nil, err
		}
	}
	if given.notObject != "" {
		return nil, seamerr.InvalidInput([]seamerr.FieldViolation{seamerr.UnexpectedType("object", given.notObject)})
	}
	return given.problems(table), nil
}

// decodedRequest is what has been read of a request.
type decodedRequest struct {
	message protoreflect.Message
	// byField has the fields that were given, each with what is wrong with it.
	byField map[*field][]seamerr.FieldViolation
	// unknown are the names of members that the request does not have.
	unknown []string
	// notObject is the kind of a body that is no object, empty for one that is.
	notObject string
}

// problems lists what is wrong in the order of the contract, and what is wrong with the whole after that.
func (g *decodedRequest) problems(t *message) []seamerr.FieldViolation {
	var problems []seamerr.FieldViolation
	for _, f := range t.fields {
		problems = append(problems, g.byField[f]...)
	}
	if len(g.unknown) > 0 {
		problems = append(problems, seamerr.UnrecognizedKeys(g.unknown))
	}
	return problems
}

func (g *decodedRequest) readBody(t *message, body []byte) error {
	r := requestReader{decodedRequest: g, dec: jsontext.NewDecoder(bytes.NewBuffer(body))}
	var err error
	if kind := r.dec.PeekKind(); kind == '{' {
		err = r.readObject(t)
	} else {
		g.notObject = kindName(kind)
		err = r.dec.SkipValue()
	}
	if err != nil {
		return syntax(err)
	}
	return r.end()
}

// maxReported bounds the problems of one list and the unknown members that are told of, so that a hostile body does not
// get a response many times its own size.
const maxReported = 100

type requestReader struct {
	*decodedRequest

	dec *jsontext.Decoder
}

// end makes sure that nothing follows the value.
func (r requestReader) end() error {
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

func (r requestReader) readObject(t *message) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() == '"' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		f, known := t.byName[name]
		if !known {
			if len(r.unknown) < maxReported {
				r.unknown = append(r.unknown, sanitizeName(name))
			}
			err = r.dec.SkipValue()
		} else {
			r.byField[f], err = r.readField(f)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r requestReader) readField(f *field) ([]seamerr.FieldViolation, error) {
	if f.list {
		return r.readList(f)
	}
	if f.null != nil && r.dec.PeekKind() == 'n' {
		r.message.Set(f.null, protoreflect.ValueOfBool(true))
		return nil, r.dec.SkipValue()
	}
	v, problem, err := r.readValue(f)
	if err != nil {
		return nil, err
	}
	if problem != nil {
		return []seamerr.FieldViolation{*problem}, nil
	}
	r.message.Set(f.descriptor, v)
	return nil, nil
}

func (r requestReader) readList(f *field) ([]seamerr.FieldViolation, error) {
	if kind := r.dec.PeekKind(); kind != '[' {
		return []seamerr.FieldViolation{seamerr.UnexpectedType("array", kindName(kind), f.name)}, r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	list := f.mutableList(r.message)
	var problems []seamerr.FieldViolation
	for count := 0; r.dec.PeekKind() != ']' && r.dec.PeekKind() != 0; count++ {
		v, problem, err := r.readValue(f)
		if err != nil {
			return nil, err
		}
		if problem != nil {
			// An element that is wrong keeps its place, so that those after it are told of by their own.
			v = protoreflect.ValueOfString("")
			if len(problems) < maxReported {
				problem.Path = append(problem.Path, strconv.Itoa(count))
				problems = append(problems, *problem)
			}
		}
		list.Append(v)
	}
	problems = append(f.checkCount(list), problems...)
	_, err := r.dec.ReadToken()
	return problems, err
}

// mutableList returns the list that the field is, or that the field's message wraps.
func (f *field) mutableList(m protoreflect.Message) protoreflect.List {
	if f.ids != nil {
		return m.Mutable(f.descriptor).Message().Mutable(f.ids).List()
	}
	return m.Mutable(f.descriptor).List()
}

// checkCount checks the number of elements of a list that was given. It is checked here and not only with the other
// rules: a message cannot tell an empty list from none.
func (f *field) checkCount(list protoreflect.List) []seamerr.FieldViolation {
	if !f.exactlyOne || list.Len() == 1 {
		return nil
	}
	return []seamerr.FieldViolation{seamerr.NotExactlyOne(f.name)}
}

// rfc3339 is the shape of a date and time. time.Parse also takes a comma, hours of one digit and offsets of days, all
// of which Seam refuses.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// readValue reads one value. The problem is what is wrong with it, nil when nothing is.
func (r requestReader) readValue(f *field) (v protoreflect.Value, problem *seamerr.FieldViolation, err error) {
	if kind := r.dec.PeekKind(); !f.accepts(kind) {
		return v, new(seamerr.UnexpectedType(f.expects(), kindName(kind), f.name)), r.dec.SkipValue()
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return v, nil, err
	}
	if f.kind == kindTimestamp && !rfc3339.MatchString(token.String()) {
		return v, new(seamerr.InvalidDatetime(f.name)), nil
	}
	v, err = f.value(token)
	if err != nil {
		return v, new(seamerr.InvalidDatetime(f.name)), nil //nolint:nilerr // The fault is the caller's: it is the problem.
	}
	return v, nil, nil
}

// sanitizeName returns the name of an unknown member as it may be quoted. A caller that mixes up names and values could
// have put a credential there, and a hostile one anything.
func sanitizeName(name string) string {
	credential := strings.HasPrefix(name, "seam_") || strings.HasPrefix(name, "css_") || strings.HasPrefix(name, "ey")
	unprintable := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if credential || unprintable || len(name) > 64 {
		return "(not quoted)"
	}
	return name
}
