package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/clientsession/client-session-service/service/call"
)

// Callers authenticates the callers of a service with a service credential. It can be reloaded while the service runs.
type Callers struct {
	rpcs    []string
	issuers *issuers
	// chains is nil where client certificates are not accepted.
	chains  *chains
	current atomic.Pointer[callerSet]
}

// NewCallers returns Callers without any caller. rpcs are the short names of the service's methods; client fetches the
// keys of token issuers; authorities returns the CAs that are trusted for client certificates now, nil for none, and
// another pool whenever they change, and is nil itself where client certificates are never accepted; now is the clock.
func NewCallers(
	rpcs []string, client *http.Client, authorities func() *x509.CertPool, now func() time.Time,
) *Callers {
	c := &Callers{rpcs: rpcs, issuers: newIssuers(client, now)}
	if authorities != nil {
		c.chains = newChains(authorities, now)
	}
	return c
}

// Load replaces the callers by those of a callers file. For an invalid file it changes nothing, and its error has every
// violation.
func (c *Callers) Load(content []byte) error {
	read, err := c.parse(content)
	if err != nil {
		return err
	}
	c.current.Store(read)
	return nil
}

// Len is how many callers there are, 0 for nil.
func (c *Callers) Len() int {
	if c == nil || c.current.Load() == nil {
		return 0
	}
	return c.current.Load().count
}

// identify authenticates the caller by a bearer token or, without one, by its client certificate. No other header
// counts. The error is for the log.
func (c *Callers) identify(ctx context.Context, from *call.Call) (*caller, error) {
	known := c.current.Load()
	sent := from.Metadata["authorization"]
	values := slices.DeleteFunc(slices.Clone(sent), func(value string) bool {
		return strings.TrimSpace(value) == "" // An empty header is an absent one, here as with Seam.
	})
	switch len(values) {
	case 0:
		return c.byCertificate(from, known)
	case 1:
		scheme, text, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "bearer") || text == "" {
			return nil, errors.New("authorization is not a bearer token")
		}
		return c.byToken(ctx, known, text)
	default:
		return nil, errors.New("authorization is given more than once")
	}
}

func (c *Callers) byToken(ctx context.Context, known *callerSet, text string) (*caller, error) {
	digest := sha256.Sum256([]byte(text))
	var found *caller
	for _, entry := range known.tokens {
		// Every entry is compared in constant time, so that the time reveals nothing about any token.
		if subtle.ConstantTimeCompare(digest[:], entry.digest[:]) == 1 {
			found = entry.caller
		}
	}
	if found != nil {
		return found, nil
	}
	if strings.Count(text, ".") == 2 && len(known.jwts) > 0 {
		return known.byJWT(ctx, text, c.issuers.now())
	}
	return nil, errors.New("unknown token")
}

// byCertificate returns the caller of the connection's client certificate. The certificate has to be one that the
// handshake verified, and that it would verify now.
func (c *Callers) byCertificate(from *call.Call, known *callerSet) (*caller, error) {
	info, ok := from.Peer.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || c.chains == nil {
		return nil, errors.New("neither a bearer token nor a client certificate")
	}
	if err := c.chains.verify(info.State.PeerCertificates); err != nil {
		return nil, err
	}
	return known.byNames(info.State.PeerCertificates[0])
}

// byNames returns the caller with the names in a certificate.
func (s *callerSet) byNames(certificate *x509.Certificate) (*caller, error) {
	var found []*caller
	ids := 0
	for _, uri := range certificate.URIs {
		if uri.Scheme == "spiffe" {
			ids++
		}
		if known := s.spiffe[uri.String()]; known != nil {
			found = append(found, known)
		}
	}
	if ids > 1 {
		// SPIFFE allows one. Of several, two implementations could take different ones.
		return nil, errors.New("the client certificate has more than one SPIFFE id")
	}
	for _, name := range certificate.DNSNames {
		if known := s.dns[name]; known != nil {
			found = append(found, known)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("unknown client certificate")
	}
	return onlyCaller("client certificate", found)
}

// onlyCaller returns the one caller that several names or rules match. It fails for a proof that matches two callers,
// because it is ambiguous which of them calls.
func onlyCaller(proof string, found []*caller) (*caller, error) {
	for _, other := range found[1:] {
		if other != found[0] {
			return nil, fmt.Errorf("the %s matches both %s and %s", proof, found[0].Name, other.Name)
		}
	}
	return found[0], nil
}
