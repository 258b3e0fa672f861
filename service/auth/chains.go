package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxChains is how many client certificates are cached with the result of verifying them, which takes some 100 µs.
	maxChains = 4096
	// chainRetryInterval is how long a certificate that failed is not verified again, unless the authorities change. A
	// failure is not final: an authority may not have been valid yet.
	chainRetryInterval = 5 * time.Second
)

// chains verifies client certificates. The handshake has verified them too, but a connection may outlive a certificate
// and the trust in its CA.
type chains struct {
	// authorities returns the CAs that are trusted now, nil for none.
	authorities func() *x509.CertPool
	now         func() time.Time
	// verified is keyed by the certificate of a connection, as the handshake parsed it.
	verified *lru.Cache[*x509.Certificate, chainResult]
}

// chainResult is the result of verifying a certificate. It is valid until a time, for the same authorities.
type chainResult struct {
	err         error
	authorities *x509.CertPool
	until       time.Time
}

func newChains(authorities func() *x509.CertPool, now func() time.Time) *chains {
	return &chains{authorities, now, newCache[*x509.Certificate, chainResult](maxChains)}
}

// verify verifies a client's certificate, which is the first of those that the client has presented.
func (c *chains) verify(presented []*x509.Certificate) error {
	authorities, now := c.authorities(), c.now()
	if authorities == nil || len(presented) == 0 {
		return errors.New("client certificates are not accepted")
	}
	known, ok := c.verified.Get(presented[0])
	if !ok || known.authorities != authorities || now.After(known.until) {
		known = verifyChain(presented, authorities, now)
		c.verified.Add(presented[0], known)
	}
	return known.err
}

func verifyChain(presented []*x509.Certificate, authorities *x509.CertPool, now time.Time) chainResult {
	intermediates := x509.NewCertPool()
	for _, certificate := range presented[1:] {
		intermediates.AddCert(certificate)
	}
	found, err := presented[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		err = fmt.Errorf("the client certificate is not valid now: %w", err)
		return chainResult{err, authorities, now.Add(chainRetryInterval)}
	}
	// It is valid for as long as the chain that expires last.
	var until time.Time
	byExpiry := func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }
	for _, chain := range found {
		if first := slices.MinFunc(chain, byExpiry); first.NotAfter.After(until) {
			until = first.NotAfter
		}
	}
	return chainResult{nil, authorities, until}
}
