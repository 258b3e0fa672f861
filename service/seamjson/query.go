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
func (g *decodedRequest) readQuery(t *message, query string) error {
	inBody := make([]bool, len(g.members))
	for i, member := range g.members {
		inBody[i] = member.given
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
		again := g.members[f.position].given
		switch {
		case inBody[f.position]:
			if f.list {
				continue
			}
			// A second one is a fault, also of a parameter that the body overrules.
			inBody[f.position] = false
		case again && !f.list:
			return seamerr.RepeatedParameter(name)
		default:
			g.readParameter(f, text, again)
		}
	}
	return nil
}

// readParameter reads one parameter; again is true for a further element of a list.
func (g *decodedRequest) readParameter(f *field, text string, again bool) {
	member := &g.members[f.position]
	member.given = true
	switch {
	case f.list:
		list := g.object.list(f, true)
		if text != "" || again { // `name=` alone is how an empty list is written.
			*list = append(*list, text)
		}
		member.problems = f.checkCount(len(*list))
	case f.null != nil && text == "":
		g.object.setNull(f)
	case f.kind == kindBool && (text == "true" || text == "false"):
		g.object.set(f, protoreflect.ValueOfBool(text == "true"))
	case f.kind == kindString:
		g.object.set(f, protoreflect.ValueOfString(text))
	default:
		member.problems = []seamerr.FieldViolation{seamerr.UnexpectedType(f.expects(), "string", f.name)}
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
