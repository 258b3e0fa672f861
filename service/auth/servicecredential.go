package auth

import (
	"context"
	"path"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// ServiceCredential authenticates and authorises the callers of a service with a service credential, with which their
// calls go to Seam. No header of the caller reaches Seam.
type ServiceCredential struct {
	key     *Key
	callers *Callers
	// openReflection is true when every client may use reflection.
	openReflection bool
	keys           callerKeys
}

// NewServiceCredential returns the authenticator. Without callers (nil) every client may call. Reflection is open to
// every client if openReflection is true, else to every authenticated caller.
func NewServiceCredential(key *Key, callers *Callers, openReflection bool) ServiceCredential {
	return ServiceCredential{key, callers, openReflection, newCallerKeys()}
}

// Authenticate implements call.Authenticator.
func (s ServiceCredential) Authenticate(ctx context.Context, c *call.Call) error {
	reflects := c.Method.Reflection
	if c.Method.Public || (reflects && s.openReflection) {
		return nil
	}
	if s.callers == nil {
		if reflects {
			return seamerr.Unauthorized()
		}
		s.accept(c)
		return nil
	}
	from, err := s.callers.identify(ctx, c)
	if err != nil {
		refusal := seamerr.Unauthorized()
		refusal.Cause = err
		return refusal
	}
	s.accept(c)
	c.Caller, c.CallerKey = from.Name, s.keys.of(from.Name)
	// The name comes from the server's own table of methods, not from what the caller wrote.
	if rpc := path.Base(c.Method.FullMethod); !reflects && !from.allows(rpc) {
		return seamerr.Forbidden(rpc)
	}
	return nil
}

// accept gives a call the service credential.
func (s ServiceCredential) accept(c *call.Call) {
	c.ServiceCredential, c.SeamHeader, c.Proven = true, s.key.Header(), true
}

// Accepted implements call.Authenticator. An authenticated caller is proven by that.
func (ServiceCredential) Accepted(*call.Call) {}
