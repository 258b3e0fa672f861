package auth_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const serviceKeyText = "seam_held_key"

func serviceKey(t testing.TB) *auth.Key {
	t.Helper()
	key := &auth.Key{}
	if err := key.UseAPIKey(serviceKeyText); err != nil {
		t.Fatal(err)
	}
	return key
}

func rpcNames() []string { return []string{"Create", "Get", "GrantAccess"} }

// newCallers returns the callers of a file, with mesh as the trusted CA. The default clock is the real one.
func newCallers(t testing.TB, file string, now ...func() time.Time) *auth.Callers {
	t.Helper()
	clock := time.Now
	if len(now) > 0 {
		clock = now[0]
	}
	_ = meshAuthority(t)
	return callersTrusting(t, file, func() *x509.CertPool { return mesh.pool }, clock)
}

func callersTrusting(t testing.TB, file string, authorities func() *x509.CertPool, now func() time.Time) *auth.Callers {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	callers := auth.NewCallers(rpcNames(), &http.Client{Transport: transport}, authorities, now)
	if err := callers.Load([]byte(file)); err != nil {
		t.Fatal(err)
	}
	return callers
}

// noAuthorities is for a service that accepts no client certificates.
func noAuthorities() *x509.CertPool { return nil }

// outcome is the outcome of a call.
type outcome struct {
	served bool
	caller string
	header http.Header
	err    error
}

// code is the code of the refusal.
func (o outcome) code() codes.Code {
	if o.err == nil {
		return codes.OK
	}
	return seamerr.From(o.err).GRPCCode()
}

// cause is the logged cause of the refusal.
func (o outcome) cause() string {
	if refusal, ok := errors.AsType[*seamerr.Error](o.err); ok && refusal.Cause != nil {
		return refusal.Cause.Error()
	}
	return ""
}

// grant makes a call of GrantAccess to a service with a service credential.
func grant(t testing.TB, callers *auth.Callers, md metadata.MD, from *peer.Peer) outcome {
	t.Helper()
	return callRPC(t, callers, "/seam.clientsession.v1.ClientSessionService/GrantAccess", md, from)
}

func callRPC(t testing.TB, callers *auth.Callers, method string, md metadata.MD, from *peer.Peer) outcome {
	t.Helper()
	return callIn(t.Context(), t, callers, method, md, from)
}

func callIn(
	ctx context.Context, t testing.TB, callers *auth.Callers, method string, md metadata.MD, from *peer.Peer,
) outcome {
	t.Helper()
	record := &call.Call{Metadata: md, Method: &call.Method{FullMethod: method}}
	if from != nil {
		record.Peer = *from
	}
	var o outcome
	o.err = auth.NewServiceCredential(serviceKey(t), callers, true).Authenticate(ctx, record)
	o.served = o.err == nil
	o.caller, o.header = record.Caller, record.SeamHeader
	return o
}

func bearer(token string) metadata.MD { return metadata.Pairs("authorization", "Bearer "+token) }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}
