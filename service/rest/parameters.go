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

// parameters are what came with a request, taken off it before the gateway's generated code can read it in its own
// way: that code drops unknown members, stops at the first of several values, and quotes values in its errors.
type parameters struct {
	// headers are those that become metadata.
	headers                    []header
	method, contentType, query string
	// body is the body, and length how long it says it is: -1 when it does not say.
	body          io.Reader
	length, limit int64
	writer        http.ResponseWriter
	codec         *seamjson.Codec
}

// Cut ends a read that waits for the body. It fails only for a connection that is gone, which ends it as well.
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

// Decode reads the parameters into the request message. Violations of single members leave the others in the message,
// so that those can be checked too.
func (c *call) Decode(call *callinfo.Call, body []byte, in any) *seamerr.Error {
	p := &c.parameters
	for _, header := range p.headers {
		for _, value := range c.metadata[header.name] {
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
		return seamerr.Internal(fmt.Errorf("request of type %T is no message", in))
	}
	if create, ok := in.(*clientsessionv1.CreateRequest); ok && p.method == http.MethodPost {
		// Seam's two methods of this path differ in what they do about a session that exists.
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	problems, err := p.codec.UnmarshalRequest(body, p.query, message)
	if err == nil {
		call.Violations = problems
		return nil
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
		return refusal
	}
	return seamerr.InvalidJSON(err)
}

// isJSON says whether a content type is JSON's. An empty body needs none: some SDKs send an empty form.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}
