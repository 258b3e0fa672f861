package seamjson

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// strictParameter is what Seam's SDKs end a query with. It is no parameter of any request.
const strictParameter = "_strict"

// readQuery reads the parameters of a query string, but for those that the body has: a body wins.
func (d *decodedRequest) readQuery(t *message, query string) error {
	inBody := make([]bool, len(d.members))
	for i, member := range d.members {
		inBody[i] = member.present
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, text, err := unescape(pair)
		if err != nil {
			return seamerr.InvalidQuery()
		}
		if pair == "" || name == strictParameter {
			continue
		}
		f, known := t.byName[name]
		if !known || t.bodyOnly {
			return seamerr.UnrecognizedParameter(sanitizeName(name))
		}
		again := d.members[f.position].present
		switch {
		case inBody[f.position]:
			if f.list {
				continue
			}
			// A second one is refused, also of a parameter that the body overrules.
			inBody[f.position] = false
		case again && !f.list:
			return seamerr.RepeatedParameter(name)
		default:
			d.readParameter(f, text, again)
		}
	}
	return nil
}

// readParameter reads one parameter; again is true for a further element of a list.
func (d *decodedRequest) readParameter(f *field, text string, again bool) {
	member := &d.members[f.position]
	member.present = true
	switch {
	case f.list:
		d.object.appendTo(f)
		if text != "" || again { // `name=` alone is how an empty list is written.
			d.object.appendTo(f, text)
		}
		elements, _ := d.object.list(f)
		member.violations = f.checkCount(len(elements))
	case f.null != nil && text == "":
		d.object.setNull(f)
	case f.kind == kindBool && (text == "true" || text == "false"):
		d.object.set(f, protoreflect.ValueOfBool(text == "true"))
	case f.kind == kindString:
		d.object.set(f, protoreflect.ValueOfString(text))
	default:
		member.violations = []seamerr.FieldViolation{seamerr.UnexpectedType(f.expects(), "string", f.name)}
	}
}

func unescape(pair string) (name, text string, err error) {
	name, text, _ = strings.Cut(pair, "=")
	name, nameErr := url.QueryUnescape(name)
	text, textErr := url.QueryUnescape(text)
	if !utf8.ValidString(name) || !utf8.ValidString(text) {
		return "", "", errors.New("not UTF-8")
	}
	return name, text, errors.Join(nameErr, textErr)
}
