// Package auth authenticates and authorises callers, and decides which credential goes to Seam.
package auth

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// PassThrough authenticates no caller: each call goes to Seam with the caller's credential, and a call without one is
// refused. The credential identifies the caller, and is proven once Seam has accepted a call with it.
type PassThrough struct{ keys callerKeys }

// NewPassThrough returns the authenticator of a service without a service credential.
func NewPassThrough() PassThrough { return PassThrough{newCallerKeys()} }

// Authenticate implements call.Authenticator.
func (p PassThrough) Authenticate(_ context.Context, c *call.Call) error {
	if c.Method.Public || c.Method.Reflection {
		return nil
	}
	header, credential, err := Forward(c.Metadata)
	if err != nil {
		return err
	}
	c.SeamHeader = header
	c.CallerKey = p.keys.of(credential)
	c.Proven = p.keys.accepted.Contains(c.CallerKey)
	return nil
}

// Accepted implements call.Authenticator.
func (p PassThrough) Accepted(c *call.Call) { p.keys.accepted.Add(c.CallerKey, struct{}{}) }

// Forward picks the headers for Seam out of the metadata of a call. A header with an empty value counts as
// absent: some SDKs send each header they know of. It fails with an *seamerr.Error for a repeated header or a second
// credential, which are ambiguous, for a value with bytes that HTTP does not allow, and for a call without any
// credential. Several headers may have the same credential, as those of Seam's SDKs for browsers do.
func Forward(md metadata.MD) (header http.Header, credential string, err error) {
	header = http.Header{}
	for _, allowed := range seam.Headers() {
		var value []string
		sent := md[allowed.Name]
		for i, v := range sent {
			switch {
			case strings.TrimSpace(v) == "":
			case len(value) > 0:
				return nil, "", seamerr.RepeatedHeader(allowed.Name)
			case !text.IsPrintable(v):
				return nil, "", seamerr.InvalidHeader(allowed.Name)
			default:
				value = sent[i : i+1 : i+1]
			}
		}
		if len(value) == 0 {
			continue
		}
		header[allowed.Key] = value
		if !allowed.Credential {
			continue
		}
		another, ok := withoutScheme(value[0])
		if !ok || credential != "" && another != credential {
			return nil, "", seamerr.SecondCredential(allowed.Name)
		}
		credential = another
	}
	if credential == "" {
		return nil, "", seamerr.Unauthorized()
	}
	return header, credential, nil
}

// withoutScheme returns a credential without the scheme that may stand before it. It is false for more words: by a
// further one, a caller could look like another at each call.
func withoutScheme(value string) (credential string, ok bool) {
	words := strings.Fields(value)
	return words[len(words)-1], len(words) <= 2
}
