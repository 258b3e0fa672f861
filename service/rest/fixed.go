package rest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/clientsession/client-session-service/gen/openapi"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// fixedFile is a response that is the same for everybody: it needs no credential and never becomes a call.
type fixedFile struct {
	body   []byte
	header http.Header
	// unzip returns the body decompressed, nil for a body that is not kept compressed by gzip.
	unzip func() []byte
	// status is that of a redirect, zero for a file.
	status int
}

// newFixedFile returns a file with the headers that all have.
func newFixedFile(contentType string, body []byte) fixedFile {
	sum := sha256.Sum256(body)
	return fixedFile{body: body, header: http.Header{
		"Content-Type":           {contentType},
		"Etag":                   {`"` + hex.EncodeToString(sum[:16]) + `"`},
		"Cache-Control":          {"no-cache"}, // It is kept, and asked about: another release has another.
		"X-Content-Type-Options": {"nosniff"},
	}}
}

// withFixedFiles serves the OpenAPI document, and the API page where it is asked for.
func (f *face) withFixedFiles(next http.Handler) (http.Handler, error) {
	files := map[string]fixedFile{
		"/openapi.json": newFixedFile("application/json", openapi.JSON),
		"/openapi.yaml": newFixedFile("application/yaml", openapi.YAML),
	}
	if f.APIDocs {
		if err := addDocs(files); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, found := files[r.URL.Path]
		switch {
		case !found:
			next.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			e := seamerr.MethodNotAllowed([]string{http.MethodGet, http.MethodHead})
			f.refuse(w, r, f.others.methodNotAllowed, "no route", e)
		default:
			f.unread.write(w, r, f.unread.strangers, func() { file.serve(w, r) })
		}
	}), nil
}

func (f fixedFile) serve(w http.ResponseWriter, r *http.Request) {
	body, header := f.body, w.Header()
	maps.Copy(header, f.header)
	if f.status != 0 {
		w.WriteHeader(f.status)
		return
	}
	if f.unzip != nil {
		header.Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			header.Set("Content-Encoding", "gzip")
		} else {
			body = f.unzip()
			header.Del("Etag") // It is that of other bytes.
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// unzipOnce is for the few clients that do not accept gzip. It decompresses at the first of their requests alone, since
// a request needs no credential. What is embedded does decompress: a test asks for each.
func unzipOnce(zipped []byte) func() []byte {
	return sync.OnceValue(func() []byte {
		reader, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			return nil
		}
		body, _ := io.ReadAll(reader)
		return body
	})
}
