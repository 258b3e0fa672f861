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

// This file has the assumptions about how Seam reads a request. See unknown.go.

// isJSON reports whether a content type is that of JSON. Assumed: it is required for every method, and as the exact
// media type. The library that Seam's servers use requires it for POST and PATCH only, and as a part of the header.
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// emptyBody is the input of a request without a body. Known: an empty object where the content type is that of a form.
// Assumed: also for all others, because SDKs differ in the content type that they send then.
func emptyBody() value {
	return value{kind: kindObject}
}

// errTooLarge is the response to a body above the limit. Assumed: all of it, the limit included.
func errTooLarge() *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, kind: "payload_too_large",
		message: "Request body is larger than 1 MiB",
	}
}

// errInvalidJSON is the response to a body that is not JSON. Assumed: the wording, and the type, because no documented
// type fits better.
func errInvalidJSON() *apiError {
	return errInput("Invalid JSON")
}

// errDuplicateMember is the error of an object that has a member twice. Assumed: Seam refuses it as invalid JSON. A
// parser in JavaScript would take the last one, and a client that relies on that is ambiguous.
func errDuplicateMember() error {
	return errors.New("duplicate member name")
}

// readsQuery tells whether an endpoint takes parameters from the query string.
// Assumed: one that reads only the body refuses them rather than ignoring
// them, so that a misplaced parameter does not go unnoticed.
func readsQuery(e endpoint) bool {
	return e.query
}

// isStrictMark reports whether a parameter is the SDKs' flag and not one of the API. Known: the SDKs end each query
// with _strict=true. Assumed: it may have another value and stand anywhere, because it has no visible effect.
func isStrictMark(name string) bool {
	return name == "_strict"
}

// firstListElement reads the first value of a list parameter in a query. Assumed: `name=` is the empty list, as
// the SDKs write it, and not a list of one empty string. A comma is part of an id, because no SDK separates by it.
func firstListElement(text string) value {
	list := value{kind: kindArray}
	if text != "" {
		list.items = []value{textValue(text)}
	}
	return list
}

// emptyParameter reads `name=` for a parameter that is no list. Known: it is how null is written. Assumed: where null
// is not allowed it is the empty string, which most of those parameters refuse too. The parser that Seam publishes
// reads null there as well, so Seam's message may differ.
func emptyParameter(f field) value {
	if f.nullable {
		return value{kind: kindNull}
	}
	return textValue("")
}

// errInvalidQuery is the response to a query that cannot be unescaped. Assumed: the type and the wording.
func errInvalidQuery() *apiError {
	return errQuery("Invalid query string")
}

// errUnknownParameter is the response to a query parameter that the endpoint does not have. Assumed: it is refused, as
// an unknown member of a body is; the type and the wording.
func errUnknownParameter(name string) *apiError {
	return errQuery(fmt.Sprintf("Unrecognized query parameter: '%s'", name))
}

// errRepeatedParameter is the response to a repeated parameter that is no list. The status is known. Assumed:
// the type, the wording, and that it is refused also where the body has the parameter.
func errRepeatedParameter(name string) *apiError {
	return errQuery(fmt.Sprintf("Repeated query parameter: '%s'", name))
}

func errQuery(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "invalid_query_params", message: message}
}

// unknownMembers reports the members of a body that an endpoint does not
// declare. Assumed: they are refused, because that helps the author of a client
// most.
func unknownMembers(names []string) []violation {
	if len(names) == 0 {
		return nil
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "'" + name + "'"
	}
	return []violation{{msg: "Unrecognized key(s) in object: " + strings.Join(quoted, ", ")}}
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

// isDatetime reports whether a text is a time. Known: it is a date-time of RFC 3339. Assumed: in capital letters,
// without a leap second and with any number of digits, because that is what parsers agree on.
func isDatetime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil && datetimeShape.MatchString(text)
}

// needsAnyParameter refuses a grant without parameters. Known: one parameter is needed. Assumed: an empty list
// is none, because it grants nothing and names no session; and the wording, which is that of Seam's Python SDK
// where an endpoint needs any one parameter. It is about no field, so the message names none.
func needsAnyParameter(in input) []violation {
	for _, v := range in {
		if v.kind != kindArray || len(v.items) > 0 {
			return nil
		}
	}
	return []violation{{msg: "At least one parameter must be provided"}}
}
