package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/seamerr"
	"github.com/clientsession/service/service/seamjson"
)

// maxBodyBytes bounds a request's body. The largest honest one, with some thousand ids, is far under it.
const maxBodyBytes = 1 << 20

// parameters are what came with a request, taken off it before the gateway's generated code can read it in its own
// way: that code drops unknown members, stops at the first of several values, and quotes values in its errors.
type parameters struct {
	method string
	query  string
	body   []byte
	fault  *seamerr.Error
}

type parametersKey struct{}

func parametersFrom(ctx context.Context) *parameters {
	if given, ok := ctx.Value(parametersKey{}).(*parameters); ok {
		return given
	}
	return &parameters{}
}

// takeParameters reads the request's body and checks the headers that are passed on. A fault is kept and not answered
// yet: whether the caller may call at all comes first.
func takeParameters(w http.ResponseWriter, r *http.Request, headers []string) *parameters {
	for _, name := range headers {
		for _, value := range r.Header.Values(name) {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				// The gateway would drop it and go on without, as if the caller had not restricted the call so.
				return &parameters{fault: seamerr.InvalidHeader(name, "has characters that are not allowed")}
			}
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &parameters{fault: seamerr.PayloadTooLarge()}
	case err != nil:
		return &parameters{fault: seamerr.UnreadableBody(errors.New("the body ended early or came too slowly"))}
	case len(body) > 0 && !isJSON(r.Header.Get("Content-Type")):
		return &parameters{fault: seamerr.InvalidContentType(r.Method)}
	}
	return &parameters{method: r.Method, query: r.URL.RawQuery, body: body}
}

// isJSON says whether a content type is JSON's. An empty body needs none: some SDKs send an empty form.
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// read reads the parameters into the request message. Problems with single members leave the others in the message, so
// that those can be checked too; an error leaves nothing to check.
func (p *parameters) read(codec *seamjson.Codec, in any) ([]seamerr.Problem, *seamerr.Error) {
	if p.fault != nil {
		return nil, p.fault
	}
	message, ok := in.(proto.Message)
	if !ok {
		return nil, seamerr.Internal(fmt.Errorf("request of type %T is no message", in))
	}
	if create, ok := in.(*clientsessionv1.CreateRequest); ok && p.method == http.MethodPost {
		// Seam's two methods of this path differ in what they do about a session that exists.
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	problems, err := codec.ReadRequest(p.body, p.query, message)
	if err == nil {
		return problems, nil
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
		return nil, refusal
	}
	return nil, seamerr.InvalidJSON(err)
}
