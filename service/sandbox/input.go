package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxBody    = 1 << 20
	maxDrained = 16 << 20
)

// received is the body of a request as it was received.
type received struct {
	bytes      []byte // bytes is cut off one byte after the limit.
	tooLarge   bool
	readFailed bool
}

// receive reads the body before anything else happens, so that every request
// is logged with its body, whatever its outcome.
func receive(r *http.Request) received {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if len(body) > maxBody {
		// A client that is still sending may miss the response when the server
		// closes the connection on it, so some more is read and dropped.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
	}
	return received{bytes: body, tooLarge: len(body) > maxBody, readFailed: err != nil}
}

// kind is a kind of JSON value, spelled as in the messages about violations.
type kind string

const (
	kindString  kind = "string"
	kindNumber  kind = "number"
	kindBoolean kind = "boolean"
	kindNull    kind = "null"
	kindArray   kind = "array"
	kindObject  kind = "object"
)

// value is a JSON value that remembers the order of its members, because
// messages list unknown members in the order of their appearance.
type value struct {
	kind    kind
	text    string
	flag    bool
	items   []value
	members []member
}

type member struct {
	name  string
	value value
}

// isBlank reports whether the value is a string of spaces alone.
func (v value) isBlank() bool { return v.kind == kindString && strings.TrimSpace(v.text) == "" }

func textValue(text string) value {
	return value{kind: kindString, text: text}
}

func (v value) has(name string) bool {
	return slices.ContainsFunc(v.members, func(m member) bool { return m.name == name })
}

// decodeBody turns a body into a value. No body at all is an empty object.
func decodeBody(method, contentType string, body received) (value, *apiError) {
	if len(body.bytes) > 0 && !isJSON(contentType) {
		return value{}, newError(http.StatusBadRequest, "invalid_content_type",
			method+` requests must have Content-Type header with "application/json"`)
	}
	if body.tooLarge {
		return value{}, newError(http.StatusRequestEntityTooLarge, "payload_too_large",
			"Request body is larger than 1 MiB")
	}
	if body.readFailed {
		return value{}, errInvalidJSON()
	}
	if len(body.bytes) == 0 {
		return value{kind: kindObject}, nil
	}
	root, err := parse(body.bytes)
	if err != nil {
		return value{}, errInvalidJSON()
	}
	return root, nil
}

// parse reads one JSON document. Whether the syntax is right, nothing trails
// and the nesting is bounded is decided first and by the standard library,
// so that the recursion below only meets documents of a bounded depth.
func parse(document []byte) (value, error) {
	if !utf8.Valid(document) || !json.Valid(document) {
		return value{}, errors.New("not a JSON document")
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	// Numbers are not used, and some overflow a float64.
	decoder.UseNumber()
	return parseValue(decoder)
}

func parseValue(decoder *json.Decoder) (value, error) {
	token, err := decoder.Token()
	if err != nil {
		return value{}, err
	}
	switch token := token.(type) {
	case nil:
		return value{kind: kindNull}, nil
	case string:
		return textValue(token), nil
	case json.Number:
		return value{kind: kindNumber}, nil
	case bool:
		return value{kind: kindBoolean, flag: token}, nil
	case json.Delim:
		if token == '[' {
			return parseArray(decoder)
		}
		return parseObject(decoder)
	}
	return value{}, fmt.Errorf("unexpected JSON token %T", token)
}

func parseArray(decoder *json.Decoder) (value, error) {
	array := value{kind: kindArray}
	for decoder.More() {
		item, err := parseValue(decoder)
		if err != nil {
			return value{}, err
		}
		array.items = append(array.items, item)
	}
	_, err := decoder.Token()
	return array, err
}

func parseObject(decoder *json.Decoder) (value, error) {
	object := value{kind: kindObject}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return value{}, err
		}
		name, _ := token.(string)
		if seen[name] {
			return value{}, errors.New("two members have one name")
		}
		seen[name] = true
		v, err := parseValue(decoder)
		if err != nil {
			return value{}, err
		}
		object.members = append(object.members, member{name, v})
	}
	_, err := decoder.Token()
	return object, err
}

// decodeQuery turns a query string into members. The endpoint's fields say how
// the text of each parameter is read.
func decodeQuery(raw string, e endpoint) ([]member, *apiError) {
	var members []member
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, text, err := unescapePair(pair)
		if err != nil {
			return nil, errQuery("Invalid query string")
		}
		if name == "_strict" {
			continue
		}
		f, known := e.field(name)
		if !known || !e.query {
			return nil, errQuery(fmt.Sprintf("Unrecognized query parameter: '%s'", name))
		}
		at := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		switch {
		case at < 0:
			members = append(members, member{name, queryValue(f, text)})
		case f.kind == kindArray:
			members[at].value.items = append(members[at].value.items, textValue(text))
		default:
			return nil, errQuery(fmt.Sprintf("Repeated query parameter: '%s'", name))
		}
	}
	return members, nil
}

func unescapePair(pair string) (name, text string, err error) {
	name, text, _ = strings.Cut(pair, "=")
	name, errName := url.QueryUnescape(name)
	text, errText := url.QueryUnescape(text)
	if !utf8.ValidString(name) || !utf8.ValidString(text) {
		return "", "", errors.New("not UTF-8")
	}
	return name, text, errors.Join(errName, errText)
}

// queryValue reads a parameter's first value. A text that is not of the field's
// kind stays text, and validation then reports it.
func queryValue(f field, text string) value {
	switch {
	case f.kind == kindArray && text == "":
		return value{kind: kindArray}
	case f.kind == kindArray:
		return value{kind: kindArray, items: []value{textValue(text)}}
	case f.kind == kindBoolean && (text == "true" || text == "false"):
		return value{kind: kindBoolean, flag: text == "true"}
	case f.nullable && text == "":
		return value{kind: kindNull}
	}
	return textValue(text)
}

// merge merges the parameters of the query and of the body. A member of the
// body overrides a parameter, and validation reports a body that is no object.
func merge(query []member, body value) value {
	if body.kind != kindObject {
		return body
	}
	merged := value{kind: kindObject}
	for _, m := range query {
		if !body.has(m.name) {
			merged.members = append(merged.members, m)
		}
	}
	merged.members = append(merged.members, body.members...)
	return merged
}
