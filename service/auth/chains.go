package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxChains is how many client certificates are remembered with what came of verifying them, which takes some 100 µs.
	maxChains = 4096
	// chainRetry is how long a certificate that failed is not verified again, unless the authorities change: one of
	// them may not have been valid yet.
	chainRetry = 5 * time.Second
)

// chains verifies the certificates of clients. The handshake has done so too, but a connection may outlive a
// certificate, and the trust in who signed it.
type chains struct {
	// authorities are those that are trusted now, nil for none.
	authorities func() *x509.CertPool
	now         func() time.Time
	// verified is by the certificate of a connection, as the handshake read it.
	verified *lru.Cache[*x509.Certificate, chainVerdict]
}

// chainVerdict is what came of verifying a certificate. It holds until a time, for the same authorities.
type chainVerdict struct {
	err         error
	authorities *x509.CertPool
	until       time.Time
}

func newChains(authorities func() *x509.CertPool, now func() time.Time) *chains {
	verified, err := lru.New[*x509.Certificate, chainVerdict](maxChains)
	if err != nil {
		panic(err) // Only for a size below one.
	}
	return &chains{authorities, now, verified}
}

// verify says whether a certificate counts, which is the first of those that a client has presented.
func (c *chains) verify(presented []*x509.Certificate) error {
	authorities, now := c.authorities(), c.now()
	if authorities == nil || len(presented) == 0 {
		return errors.New("client certificates prove nothing here")
	}
	known, ok := c.verified.Get(presented[0])
	if !ok || known.authorities != authorities || now.After(known.until) {
		known = verifyChain(presented, authorities, now)
		c.verified.Add(presented[0], known)
	}
	return known.err
}

func verifyChain(presented []*x509.Certificate, authorities *x509.CertPool, now time.Time) chainVerdict {
	between := x509.NewCertPool()
	for _, certificate := range presented[1:] {
		between.AddCert(certificate)
	}
	found, err := presented[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		err = fmt.Errorf("the client certificate does not count now: %w", err)
		return chainVerdict{err, authorities, now.Add(chainRetry)}
	}
	// It counts for as long as the chain that lasts longest.
	var until time.Time
	for _, chain := range found {
		ends := chain[0].NotAfter
		for _, certificate := range chain[1:] {
			if certificate.NotAfter.Before(ends) {
				ends = certificate.NotAfter
			}
		}
		if ends.After(until) {
			until = ends
		}
	}
	return chainVerdict{nil, authorities, until}
}
