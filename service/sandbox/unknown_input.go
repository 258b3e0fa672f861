package sandbox

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// This file has what nobody outside Seam knows about how it reads a request. See unknown.go.

// isJSON tells whether a body is read at all. Assumed: whatever the method, and by the exact media type. The library
// that Seam publishes its servers' checks in asks it of POST and PATCH only, and of a part of the header.
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// emptyBody is what no body at all stands for. Known: an empty object where the content type is that of a form.
// Assumed: also for all others, because SDKs differ in what they send then.
func emptyBody() value {
	return value{kind: kindObject}
}

// errTooLarge is the answer to a body above the limit. Assumed: all of it, with the limit. Some limit there must be.
func errTooLarge() *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, kind: "payload_too_large",
		message: "Request body is larger than 1 MiB",
	}
}

// errInvalidJSON is the answer to a body that is no JSON. Assumed: the wording, and that the input is what is invalid,
// because no documented type fits better.
func errInvalidJSON() *apiError {
	return errInput("Invalid JSON")
}

// errRepeatedMember is the fault of an object that has a member twice. Assumed: it is no JSON to Seam. A parser in
// JavaScript would take the last one, and a client that relies on it does not say what it means.
func errRepeatedMember() error {
	return errors.New("duplicate member name")
}

// readsQuery tells whether an endpoint takes parameters from the query string.
// Assumed: one that reads only the body refuses them rather than ignoring
// them, so that a misplaced parameter does not go unnoticed.
func readsQuery(e endpoint) bool {
	return e.query
}

// isStrictMark tells the parameter that is none. Known: the SDKs end each query with _strict=true. Assumed: it may have
// another value and stand anywhere, because what it switches is not visible from outside.
func isStrictMark(name string) bool {
	return name == "_strict"
}

// firstListElement reads the first appearance of a list parameter in a query. Assumed: `name=` is the empty list, as
// the SDKs write it, and not a list of one empty string. A comma is part of an id, because no SDK separates by it.
func firstListElement(text string) value {
	list := value{kind: kindArray}
	if text != "" {
		list.items = []value{textValue(text)}
	}
	return list
}

// emptyParameter reads `name=` for a parameter that is no list. Known: it is how null is written. Assumed: where null
// is not allowed it is the empty text, which most of those parameters refuse too. The parser that Seam publishes says
// null there as well, so at Seam the message may be another.
func emptyParameter(f field) value {
	if f.nullable {
		return value{kind: kindNull}
	}
	return textValue("")
}

// errInvalidQuery is the answer to a query that cannot be unescaped. Assumed: the type and the wording.
func errInvalidQuery() *apiError {
	return errQuery("Invalid query string")
}

// errUnknownParameter is the answer to a query parameter that the endpoint does not have. Assumed: it is refused, as
// an unknown member of a body is; the type and the wording.
func errUnknownParameter(name string) *apiError {
	return errQuery(fmt.Sprintf("Unrecognized query parameter: '%s'", name))
}

// errRepeatedParameter is the answer to a parameter that is no list and is given twice. The status is known. Assumed:
// the type, the wording, and that it is refused also where the body has the parameter.
func errRepeatedParameter(name string) *apiError {
	return errQuery(fmt.Sprintf("Repeated query parameter: '%s'", name))
}

func errQuery(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "invalid_query_params", message: message}
}

// unknownMembers reports the members of a body that an endpoint does not
// declare. Assumed: they are refused, because that is what helps the author of
// a client most.
func unknownMembers(names []string) []problem {
	if len(names) == 0 {
		return nil
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "'" + name + "'"
	}
	return []problem{{msg: "Unrecognized key(s) in object: " + strings.Join(quoted, ", ")}}
}

// What is wrong with a value. Known: "Required". Assumed: the others are in the words of the library whose tree of
// errors Seam sends, in the version that says "Required".
const (
	msgRequired    = "Required"
	msgEmpty       = "String must contain at least 1 character(s)"
	msgNotOne      = "Array must contain exactly 1 element(s)"
	msgNotUUID     = "Invalid uuid"
	msgNotDatetime = "Invalid datetime"
)

// wrongKind says that a value is of another kind than it should be. Assumed: the wording, as above.
func wrongKind(want, got kind) string {
	return fmt.Sprintf("Expected %s, received %s", want, got)
}

// datetimeShape is what RFC 3339 allows but for small letters: the parser of the time package also takes hours of one
// digit and a comma before the fraction.
var datetimeShape = regexp.MustCompile(
	`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// isDatetime tells whether a text is a time. Known: it is a date-time of RFC 3339. Assumed: in capital letters, without
// a leap second and with any number of digits, because that is what parsers agree on.
func isDatetime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil && datetimeShape.MatchString(text)
}

// needsAnyParameter refuses a grant that says nothing at all. Known: one parameter is needed. Assumed: an empty list
// says nothing, because it grants nothing and names no session; and the wording, which is that of Seam's Python SDK
// where an endpoint needs any one parameter. It is about no field, so the message names none.
func needsAnyParameter(in input) []problem {
	for _, v := range in {
		if v.kind != kindArray || len(v.items) > 0 {
			return nil
		}
	}
	return []problem{{msg: "At least one parameter must be provided"}}
}
