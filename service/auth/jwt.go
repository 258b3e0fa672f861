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

// jwtRule says which tokens of an issuer are a caller's. Every member that is set has to match.
type jwtRule struct {
	Issuer   string            `yaml:"issuer"`
	Audience string            `yaml:"audience"`
	Subject  string            `yaml:"subject"`
	Claims   map[string]string `yaml:"claims"`
}

// maxCachedCallers is how many tokens that passed are cached, and how many that failed: verifying a signature takes
// some 40 to 90 µs.
const maxCachedCallers = 4096

// jwtRules are the callers with a rule for the tokens of one issuer.
type jwtRules struct {
	issuer  *issuer
	callers []*caller
	// claims are the names of all claims that the rules match on.
	claims []string
}

func (s *callerSet) addJWT(c *caller, issuers *issuers) []error {
	rule := c.JWT
	var violations []error
	if parsed, err := url.Parse(rule.Issuer); err != nil || parsed.Host == "" || !isSecureURL(parsed) {
		violations = append(violations, errors.New("jwt.issuer: needs an https:// URL"))
	}
	if rule.Audience == "" {
		violations = append(violations, errors.New("jwt.audience: is required, or tokens for other audiences would pass"))
	}
	if rule.Subject == "" && len(rule.Claims) == 0 {
		violations = append(violations, errors.New("jwt: needs a subject or claims, or all tokens of the issuer pass"))
	}
	if len(violations) > 0 {
		return violations
	}
	rules := s.jwts[rule.Issuer]
	if rules == nil {
		rules = &jwtRules{issuer: issuers.get(rule.Issuer), claims: registeredClaims()}
		s.jwts[rule.Issuer] = rules
	}
	rules.callers = append(rules.callers, c)
	for name := range rule.Claims {
		if !slices.Contains(rules.claims, name) {
			rules.claims = append(rules.claims, name)
		}
	}
	return nil
}

// cachedCaller is the result of verifying a token: its caller, or why it is refused. It is valid until a time, and only
// while the keys that the token was verified with are those of the issuer.
type cachedCaller struct {
	caller *caller
	err    error
	until  time.Time
	issuer *issuer
	keys   *keySet
}

func (c cachedCaller) valid(now time.Time) bool {
	return now.Before(c.until) && c.issuer.current() == c.keys
}

// byJWT returns the caller of a token. The error is for the log.
func (s *callerSet) byJWT(ctx context.Context, text string, now time.Time) (*caller, error) {
	digest := sha256.Sum256([]byte(text))
	for _, cache := range []*callerCache{s.passed, s.failed} {
		if known, ok := cache.Get(digest); ok && known.valid(now) {
			return known.caller, known.err
		}
	}
	token, issuer, err := parseJWT(text)
	if err != nil {
		return nil, err
	}
	from := s.jwts[issuer]
	if from == nil {
		return nil, errors.New("no caller has that issuer")
	}
	made := cachedCaller{issuer: from.issuer}
	made.keys, err = from.issuer.verify(ctx, token)
	switch {
	case err == nil:
		made.caller, made.until, made.err = from.match(token.UnsafePayloadWithoutVerification(), now)
	case errors.Is(err, errUnsigned):
		// By then the issuer may have published the key that did sign it.
		made.err, made.until = err, from.issuer.nextFetch()
	default:
		return nil, err // It is not about the token, so it is not cached.
	}
	if made.err != nil {
		s.failed.Add(digest, made)
	} else {
		s.passed.Add(digest, made)
	}
	return made.caller, made.err
}

// match returns the caller whose rules match the signed claims, and until when that is valid.
func (r *jwtRules) match(payload []byte, now time.Time) (*caller, time.Time, error) {
	retryAt := now.Add(refetchInterval)
	read, err := readClaims(payload, now)
	switch {
	case err != nil:
		return nil, retryAt, err
	case read.lookalike(r.claims):
		return nil, retryAt, errors.New("the token has a claim whose name differs from a matched one only in case")
	}
	var found []*caller
	for _, candidate := range r.callers {
		if candidate.JWT.matches(read) {
			found = append(found, candidate)
		}
	}
	if len(found) == 0 {
		return nil, retryAt, errors.New("the token's aud, sub or other claims match no caller")
	}
	one, err := onlyCaller("token", found)
	if err != nil {
		return nil, retryAt, err
	}
	return one, read.expiry.Add(clockLeeway), nil
}

// callerCache is keyed by the SHA-256 of the token, so that no token is kept.
type callerCache = lru.Cache[[sha256.Size]byte, cachedCaller]
