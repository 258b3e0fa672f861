package seamjson

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// reader reads one JSON text.
type reader struct {
	jsontext.Decoder

	source bytes.Buffer
	// text is the JSON text: the strings that are read are parts of it, so that all of them are one allocation. It is
	// empty where few strings are needed.
	text string
}

// newReader returns a reader of the text from the pool. The caller has to release it.
func (c *Codec) newReader(data []byte, text string, options ...jsontext.Options) *reader {
	r, ok := c.readers.Get().(*reader)
	if !ok {
		r = new(reader)
	}
	r.source, r.text = *bytes.NewBuffer(data), text
	r.Reset(&r.source, options...)
	return r
}

// release returns the reader to the pool, without the text.
func (c *Codec) release(r *reader) {
	r.source, r.text = bytes.Buffer{}, ""
	r.Reset(&r.source)
	c.readers.Put(r)
}

// readString reads a string.
func (r *reader) readString() (string, error) {
	quoted, err := r.ReadValue()
	if err != nil {
		return "", err
	}
	return r.unquoted(quoted), nil
}

// unquoted returns the value of the JSON string that was read last.
func (r *reader) unquoted(quoted jsontext.Value) string {
	if !plain(quoted) {
		return unquote(quoted)
	}
	text := r.stringOf(quoted)
	return text[1 : len(text)-1]
}

// stringOf returns the value that was read last as a string.
func (r *reader) stringOf(value jsontext.Value) string {
	if r.text == "" {
		return string(value)
	}
	end := int(r.InputOffset())
	return r.text[end-len(value) : end]
}

// plain reports whether a JSON string has no escapes and is valid UTF-8, so that its value is the text in the quotes.
func plain(quoted []byte) bool { return bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) }

// unquote returns the value of a JSON string without its quotes and escapes. Invalid UTF-8 is replaced.
func unquote(quoted jsontext.Value) string {
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return string(text)
}
