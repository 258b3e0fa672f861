package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// jwtRule says which tokens of an issuer are a caller's. Everything that is given has to fit.
type jwtRule struct {
	Issuer   string            `yaml:"issuer"`
	Audience string            `yaml:"audience"`
	Subject  string            `yaml:"subject"`
	Claims   map[string]string `yaml:"claims"`
}

// maxCachedCallers is how many tokens are remembered that passed, and how many that failed: a signature takes some 40
// to 90 µs to check.
const maxCachedCallers = 4096

// jwtRules are the rules for the tokens of one issuer.
type jwtRules struct {
	issuer *issuer
	rules  []jwtCaller
	// claims are the names of all claims that decide something.
	claims []string
}

// jwtCaller is a rule with the caller whose it is.
type jwtCaller struct {
	rule   jwtRule
	caller *caller
}

func (d *callerSet) addJWT(rule jwtRule, c *caller, issuers *issuers) []error {
	var faults []error
	if parsed, err := url.Parse(rule.Issuer); err != nil || parsed.Host == "" || !isSecureURL(parsed) {
		faults = append(faults, errors.New("jwt.issuer: needs an https:// URL"))
	}
	if rule.Audience == "" {
		faults = append(faults, errors.New("jwt.audience: is required, or tokens made for others would do"))
	}
	if rule.Subject == "" && len(rule.Claims) == 0 {
		faults = append(faults, errors.New("jwt: give a subject or claims, or every token of the issuer would do"))
	}
	if len(faults) > 0 {
		return faults
	}
	of := d.jwts[rule.Issuer]
	if of == nil {
		of = &jwtRules{issuer: issuers.get(rule.Issuer), claims: registeredClaims()}
		d.jwts[rule.Issuer] = of
	}
	of.rules = append(of.rules, jwtCaller{rule, c})
	for name := range rule.Claims {
		if !slices.Contains(of.claims, name) {
			of.claims = append(of.claims, name)
		}
	}
	return nil
}

// cachedCaller is the result of verifying a token: whose it is, or why it is refused. It holds until a time, and no
// longer than the keys that the token was verified with are those of the issuer.
type cachedCaller struct {
	caller *caller
	err    error
	until  time.Time
	issuer *issuer
	keys   *keySet
}

func (c cachedCaller) holds(now time.Time) bool {
	return now.Before(c.until) && c.issuer.current() == c.keys
}

// byJWT returns whose token it is, nil if it is nobody's. The error tells the log why.
func (d *callerSet) byJWT(ctx context.Context, text string, now time.Time) (*caller, error) {
	digest := sha256.Sum256([]byte(text))
	for _, cache := range []*callerCache{d.passed, d.failed} {
		if known, ok := cache.Get(digest); ok && known.holds(now) {
			return known.caller, known.err
		}
	}
	token, issuer, err := parseJWT(text)
	if err != nil {
		return nil, err
	}
	from := d.jwts[issuer]
	if from == nil {
		return nil, errors.New("no caller has tokens of that issuer")
	}
	made := cachedCaller{issuer: from.issuer}
	made.keys, err = from.issuer.verify(ctx, token)
	switch {
	case err == nil:
		made.caller, made.until, made.err = from.match(token.UnsafePayloadWithoutVerification(), now)
	case errors.Is(err, errUnsigned):
		// The issuer may have a key by then that did sign it.
		made.err, made.until = err, from.issuer.nextFetch()
	default:
		return nil, err // It says nothing about the token.
	}
	if made.err != nil {
		d.failed.Add(digest, made)
	} else {
		d.passed.Add(digest, made)
	}
	return made.caller, made.err
}

// match returns the caller whose rules fit what the issuer has signed, and until when that holds.
func (r *jwtRules) match(payload []byte, now time.Time) (*caller, time.Time, error) {
	again := now.Add(refetchInterval)
	read, err := readClaims(payload, now)
	switch {
	case err != nil:
		return nil, again, err
	case read.lookalike(r.claims):
		return nil, again, errors.New("the token has a claim whose name differs from one that decides only in case")
	}
	var found []*caller
	for _, candidate := range r.rules {
		if candidate.rule.fits(read) {
			found = append(found, candidate.caller)
		}
	}
	if len(found) == 0 {
		return nil, again, errors.New("the token's aud, sub or other claims are those of no caller")
	}
	one, err := onlyCaller("token", found)
	if err != nil {
		return nil, again, err
	}
	return one, read.expiry.Add(clockLeeway), nil
}

// callerCache is keyed by the SHA-256 of the token, so that no token is kept.
type callerCache = lru.Cache[[sha256.Size]byte, cachedCaller]

func newCallerCache() *callerCache {
	cache, err := lru.New[[sha256.Size]byte, cachedCaller](maxCachedCallers)
	if err != nil {
		panic(err) // Only for a size below one.
	}
	return cache
}
