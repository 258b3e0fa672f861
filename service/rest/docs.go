package rest

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"

	"github.com/swaggest/swgui/v5/static"
)

// docs are the page's own HTML and script. Swagger UI comes from the module swgui, which embeds it compressed. Its
// handler is not used: it writes a page with a script in it, which a strict policy forbids.
//
//go:embed docs
var docs embed.FS

// docsPolicy lets the page load what this service serves and call it, and nothing else: a page with a pasted key must
// not be able to send it anywhere. The images are icons in Swagger UI's style sheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// addDocs adds the API page: Swagger UI with the OpenAPI document of this service, all of it from the binary.
func addDocs(files map[string]fixedFile) error {
	for _, file := range []struct {
		path        string
		from        fs.FS
		name        string
		contentType string
	}{
		{"/docs", docs, "docs/index.html", "text/html; charset=utf-8"},
		{"/docs/start.js", docs, "docs/start.js", "text/javascript; charset=utf-8"},
		{"/docs/swagger-ui-bundle.js", static.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
		{"/docs/swagger-ui.css", static.FS, "swagger-ui.css.gz", "text/css; charset=utf-8"},
		{"/docs/favicon.png", static.FS, "favicon-32x32.png", "image/png"},
	} {
		body, err := fs.ReadFile(file.from, file.name)
		if err != nil {
			return fmt.Errorf("read the API page: %w", err)
		}
		served := newFixedFile(file.contentType, body)
		served.header.Set("Content-Security-Policy", docsPolicy)
		served.header.Set("Referrer-Policy", "no-referrer")
		if path.Ext(file.name) == ".gz" {
			served.unzip = unzipOnce(body)
		}
		files[file.path] = served
	}
	// The links of the page are relative, so that they are right behind a prefix too, and so is this one.
	files["/docs/"] = fixedFile{status: http.StatusPermanentRedirect, header: http.Header{
		"Location": {"../docs"}, "Cache-Control": {"no-cache"},
	}}
	return nil
}
