package seamjson

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// UnmarshalRequest reads a request to Seam into m and is strict about it: an unknown member may be a misspelt
// restriction, so it is refused and not dropped; so are a null, a doubled member and anything after the object.
//
// The violations are those of the members, in the order in which the contract declares them, and m has the valid
// members. The error is non-nil when the text is not one JSON value at all.
//
// Parameters may also stand in the query string, for the requests that Seam reads from there; the body wins. A query
// that cannot be parsed is an *seamerr.Error, and so is a body that is JSON and no object.
func (c *Codec) UnmarshalRequest(body []byte, query string, m proto.Message) ([]seamerr.FieldViolation, error) {
	table, err := c.table(m)
	if err != nil {
		return nil, err
	}
	request := &decodedRequest{object: objectOf(m), members: make([]requestMember, len(table.fields))}
	if len(body) > 0 {
		if err := c.readBody(request, table, body); err != nil {
			return nil, err
		}
	}
	if query != "" {
		if err := request.readQuery(table, query); err != nil {
			return nil, err
		}
	}
	if request.notObject != "" {
		return nil, seamerr.InvalidInput([]seamerr.FieldViolation{seamerr.UnexpectedType("object", request.notObject)})
	}
	return request.allViolations(), nil
}

// decodedRequest is what has been read of a request.
type decodedRequest struct {
	object object
	// members are those of the request's table.
	members []requestMember
	// unknown are the names of members that the request does not have.
	unknown []string
	// notObject is the kind of a body that is no object, empty for one that is.
	notObject string
}

// requestMember is a member that a request may have: whether it is present, and its violations.
type requestMember struct {
	present    bool
	violations []seamerr.FieldViolation
}

// allViolations lists the violations of the members in the order of the contract, and then those of the whole.
func (d *decodedRequest) allViolations() []seamerr.FieldViolation {
	var violations []seamerr.FieldViolation
	for _, member := range d.members {
		violations = append(violations, member.violations...)
	}
	if len(d.unknown) > 0 {
		violations = append(violations, seamerr.UnrecognizedKeys(d.unknown))
	}
	return violations
}

func (c *Codec) readBody(d *decodedRequest, t *message, body []byte) error {
	r := requestReader{decodedRequest: d, dec: c.newReader(body, string(body))}
	defer c.release(r.dec)
	var err error
	if kind := r.dec.PeekKind(); kind == '{' {
		err = r.readObject(t)
	} else {
		d.notObject = kindName(kind)
		err = r.dec.SkipValue()
	}
	if err != nil {
		return syntax(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

// maxReported bounds the violations of one list and the unknown members that are reported, so that a hostile body does
// not get a response many times its own size.
const maxReported = 100

type requestReader struct {
	*decodedRequest

	dec *reader
}

func (r requestReader) readObject(t *message) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		f, known := t.field(name)
		if !known {
			if len(r.unknown) < maxReported {
				r.unknown = append(r.unknown, sanitizeName(r.dec.unquoted(name)))
			}
			err = r.dec.SkipValue()
		} else {
			var violations []seamerr.FieldViolation
			violations, err = r.readField(f)
			r.members[f.position] = requestMember{true, violations}
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
		r.object.setNull(f)
		return nil, r.dec.SkipValue()
	}
	v, violation, err := r.readValue(f)
	if err != nil {
		return nil, err
	}
	if violation != nil {
		return []seamerr.FieldViolation{*violation}, nil
	}
	r.object.set(f, v)
	return nil, nil
}

func (r requestReader) readList(f *field) ([]seamerr.FieldViolation, error) {
	if kind := r.dec.PeekKind(); kind != '[' {
		return []seamerr.FieldViolation{seamerr.UnexpectedType("array", kindName(kind), f.name)}, r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	r.object.appendTo(f)
	var violations []seamerr.FieldViolation
	count := 0
	for ; r.dec.PeekKind() != ']' && r.dec.PeekKind() != 0; count++ {
		v, violation, err := r.readValue(f)
		if err != nil {
			return nil, err
		}
		if violation != nil {
			// An invalid element keeps its index, so that violations of later ones have the right index.
			v = protoreflect.ValueOfString("")
			if len(violations) < maxReported {
				violation.Path = append(violation.Path, strconv.Itoa(count))
				violations = append(violations, *violation)
			}
		}
		r.object.appendTo(f, v.String())
	}
	violations = append(f.checkCount(count), violations...)
	_, err := r.dec.ReadToken()
	return violations, err
}

// checkCount checks the number of elements of a list that is present. It is checked here and not only with the other
// rules: a message cannot tell an empty list from none.
func (f *field) checkCount(count int) []seamerr.FieldViolation {
	if !f.exactlyOne || count == 1 {
		return nil
	}
	return []seamerr.FieldViolation{seamerr.NotExactlyOne(f.name)}
}

// rfc3339 is the shape of a date and time. time.Parse also takes a comma, hours of one digit and offsets of days, all
// of which Seam refuses.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// readValue reads one value. The violation is nil when the value is valid.
func (r requestReader) readValue(f *field) (v protoreflect.Value, violation *seamerr.FieldViolation, err error) {
	kind := r.dec.PeekKind()
	if !f.accepts(kind) {
		return v, new(seamerr.UnexpectedType(f.expects(), kindName(kind), f.name)), r.dec.SkipValue()
	}
	if f.kind == kindBool {
		return protoreflect.ValueOfBool(kind == 't'), nil, r.dec.SkipValue()
	}
	text, err := r.dec.readString()
	if err != nil {
		return v, nil, err
	}
	if f.kind != kindTimestamp {
		return protoreflect.ValueOfString(text), nil, nil
	}
	if !rfc3339.MatchString(text) {
		return v, new(seamerr.InvalidDatetime(f.name)), nil
	}
	instant, err := time.Parse(time.RFC3339, text)
	stamp := timestamppb.New(instant)
	if err != nil || stamp.CheckValid() != nil {
		return v, new(seamerr.InvalidDatetime(f.name)), nil //nolint:nilerr // The violation is the caller's.
	}
	return protoreflect.ValueOfMessage(stamp.ProtoReflect()), nil, nil
}

// sanitizeName returns the name of an unknown member as it may be quoted. A caller that mixes up names and values could
// have put a credential there, and a hostile one anything.
func sanitizeName(name string) string {
	if text.LooksLikeCredential(name) || text.HasControlCharacters(name) || len(name) > 64 {
		return "(not quoted)"
	}
	return name
}
