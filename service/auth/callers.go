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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Callers knows who may call a service that has a credential of its own. It can change while the service runs.
type Callers struct {
	rpcs    []string
	issuers *issuers
	chains  *chains
	now     func() time.Time
	current atomic.Pointer[callerSet]
}

// NewCallers returns Callers that know nobody yet. rpcs are the short names of the methods that there are; client asks
// the issuers of tokens for their keys; authorities returns those whose client certificates are trusted now, nil for
// none, and another pool whenever they change; now is the clock.
func NewCallers(
	rpcs []string, client *http.Client, authorities func() *x509.CertPool, now func() time.Time,
) *Callers {
	return &Callers{rpcs: rpcs, issuers: newIssuers(client, now), chains: newChains(authorities, now), now: now}
}

// Load replaces who may call by what a callers file says. It fails, and changes nothing, for a file with faults, and
// names every one of them.
func (c *Callers) Load(content []byte) error {
	read, err := parseCallerSet(content, c.rpcs, c.issuers)
	if err != nil {
		return err
	}
	c.current.Store(read)
	return nil
}

// identify returns who calls. A caller proves itself by a bearer token or, without one, by its client certificate: what
// is in any other header is nobody's proof. The error tells the log why nobody could be made out.
func (c *Callers) identify(ctx context.Context) (*caller, error) {
	known := c.current.Load()
	md, _ := metadata.FromIncomingContext(ctx)
	values := slices.DeleteFunc(slices.Clone(md.Get("authorization")), func(value string) bool {
		return strings.TrimSpace(value) == "" // An empty header is an absent one, here as with Seam.
	})
	switch len(values) {
	case 0:
		return c.byCertificate(ctx, known)
	case 1:
		scheme, text, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "bearer") || text == "" {
			return nil, errors.New("authorization is no bearer token")
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
		// Every entry is compared, and each in the same time, so that the time tells nothing about any token.
		if subtle.ConstantTimeCompare(digest[:], entry.digest[:]) == 1 {
			found = entry.caller
		}
	}
	if found != nil {
		return found, nil
	}
	if strings.Count(text, ".") == 2 && len(known.jwts) > 0 {
		return known.byJWT(ctx, text, c.now())
	}
	return nil, errors.New("the token is nobody's")
}

// byCertificate returns whose client certificate the connection has. Only one that the handshake verified counts, and
// that it would verify now.
func (c *Callers) byCertificate(ctx context.Context, known *callerSet) (*caller, error) {
	from, _ := peer.FromContext(ctx)
	if from == nil {
		return nil, errors.New("no bearer token")
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, errors.New("neither a bearer token nor a client certificate")
	}
	if err := c.chains.verify(info.State.PeerCertificates); err != nil {
		return nil, err
	}
	return known.byNames(info.State.PeerCertificates[0])
}

// byNames returns the caller who has the names in a certificate.
func (d *callerSet) byNames(certificate *x509.Certificate) (*caller, error) {
	var found []*caller
	ids := 0
	for _, uri := range certificate.URIs {
		if uri.Scheme == "spiffe" {
			ids++
		}
		if known := d.spiffe[uri.String()]; known != nil {
			found = append(found, known)
		}
	}
	if ids > 1 {
		// The standard allows one, and readers of several could take different ones.
		return nil, errors.New("the client certificate has more than one SPIFFE id")
	}
	for _, name := range certificate.DNSNames {
		if known := d.dns[name]; known != nil {
			found = append(found, known)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the client certificate is nobody's")
	}
	return onlyCaller("client certificate", found)
}

// onlyCaller returns the one caller whose proof is found under each of several names or rules. It fails for a proof
// that is good for two: none of them can be told to be the one that calls.
func onlyCaller(proof string, found []*caller) (*caller, error) {
	for _, other := range found[1:] {
		if other != found[0] {
			return nil, fmt.Errorf("the %s is that of %s and %s", proof, found[0].name, other.name)
		}
	}
	return found[0], nil
}
