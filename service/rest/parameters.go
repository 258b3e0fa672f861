package rest

import (
	"context"
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
	// headers are the names of the headers that are passed on.
	headers []string
	header  http.Header
	method  string
	query   string
	// body is the body, and length how long it says it is: -1 when it does not say.
	body          io.Reader
	length, limit int64
	connection    *http.ResponseController
	codec         *seamjson.Codec
	// response is Seam's response, once the call has been answered well.
	response []byte
}

type parametersKey struct{}

func parametersFrom(ctx context.Context, codec *seamjson.Codec) *parameters {
	p, ok := ctx.Value(parametersKey{}).(*parameters)
	if !ok {
		p = &parameters{body: http.NoBody}
	}
	p.codec = codec
	return p
}

// Cut ends a read that waits for the body. It fails only for a connection that is gone, which ends it as well.
func (p *parameters) Cut() { _ = p.connection.SetReadDeadline(time.Unix(1, 0)) }

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
func (p *parameters) Decode(call *callinfo.Call, body []byte, in any) *seamerr.Error {
	for _, name := range p.headers {
		for _, value := range p.header.Values(name) {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				// The gateway would drop it and go on without, as if the caller had not restricted the call so.
				return seamerr.InvalidHeader(name)
			}
		}
	}
	if len(body) > 0 && !isJSON(p.header.Get("Content-Type")) {
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
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}
