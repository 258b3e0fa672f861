package rest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// parameters are the parameters of a request, removed from it before the gateway's generated code can read them: that
// code drops unknown members, takes the first of several values, and quotes values in its errors.
type parameters struct {
	// headers are those that become metadata.
	headers                    []header
	method, contentType, query string
	// length is the Content-Length of the body, -1 when it is unknown.
	body          io.Reader
	length, limit int64
	writer        http.ResponseWriter
	codec         *seamjson.Codec
}

// Cut ends a read that waits for the body. It fails only for a closed connection, which ends the read as well.
func (p *parameters) Cut() { _ = http.NewResponseController(p.writer).SetReadDeadline(time.Unix(1, 0)) }

// Read reads the next part of the body.
func (p *parameters) Read(part []byte) (int, error) {
	if p.length > p.limit {
		return 0, seamerr.PayloadTooLarge(int(p.limit))
	}
	n, err := p.body.Read(part)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, seamerr.UnreadableBody(errors.New("the body ended early or came too slowly"))
	}
	return n, err
}

// Decode decodes the parameters into the request message. It also decodes the members beside an invalid one, so that
// the rules are checked on them too.
func (c *call) Decode(call *callinfo.Call, body []byte, in any) *seamerr.Error {
	p := &c.parameters
	for _, header := range p.headers {
		for _, value := range call.Metadata[header.name] {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				return seamerr.InvalidHeader(header.name)
			}
		}
	}
	if len(body) > 0 && !isJSON(p.contentType) {
		return seamerr.InvalidContentType(p.method)
	}
	message, ok := in.(proto.Message)
	if !ok {
		return seamerr.Internal(fmt.Errorf("request of type %T is not a message", in))
	}
	if create, ok := in.(*clientsessionv1.CreateRequest); ok && p.method == http.MethodPost {
		// Seam's two methods of this path differ when the session exists.
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	violations, err := p.codec.UnmarshalRequest(body, p.query, message)
	if err == nil {
		call.Violations = violations
		return nil
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
		return refusal
	}
	return seamerr.InvalidJSON(err)
}

// isJSON reports whether a content type is JSON's. An empty body needs none: some SDKs send an empty form.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}
