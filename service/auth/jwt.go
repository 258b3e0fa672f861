package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

// verdicts is how many verified tokens are remembered: a signature takes some 40 to 90 µs to check.
const verdicts = 4096

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

func (d *directory) addJWT(rule jwtRule, c *caller, issuers *issuers) []error {
	var faults []error
	if parsed, err := url.Parse(rule.Issuer); err != nil || parsed.Host == "" || !trustworthy(parsed) {
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

// verdict is what came of verifying a token. It holds for as long as the token does, and the keys that it was verified
// with are those of the issuer.
type verdict struct {
	caller *caller
	until  time.Time
	issuer *issuer
	keys   *keySet
}

func (v verdict) holds(now time.Time) bool {
	return now.Before(v.until) && v.issuer.current() == v.keys
}

// byJWT returns whose token it is, nil if it is nobody's. The error tells the log why.
func (d *directory) byJWT(ctx context.Context, text string, now time.Time) (*caller, error) {
	digest := sha256.Sum256([]byte(text))
	if known, ok := d.verdicts.Get(digest); ok && known.holds(now) {
		return known.caller, nil
	}
	token, err := parseJWT(text, now)
	if err != nil {
		return nil, err
	}
	from := d.jwts[token.issuer]
	if from == nil {
		return nil, errors.New("no caller has tokens of that issuer")
	}
	keys, err := from.issuer.verify(ctx, token.signature)
	if err != nil {
		return nil, err
	}
	found, err := from.match(token)
	if err != nil {
		return nil, err
	}
	d.verdicts.Add(digest, verdict{found, token.expiry.Add(clockLeeway), from.issuer, keys})
	return found, nil
}

// match returns the caller whose rules fit a token that the issuer has signed.
func (r *jwtRules) match(token *jwt) (*caller, error) {
	if token.lookalike(r.claims) {
		return nil, errors.New("the token has a claim whose name differs from one that decides only in case")
	}
	var found *caller
	for _, candidate := range r.rules {
		switch {
		case !candidate.rule.fits(token):
		case found != nil && found != candidate.caller:
			return nil, fmt.Errorf("the token is that of %s and %s", found.name, candidate.caller.name)
		default:
			found = candidate.caller
		}
	}
	if found == nil {
		return nil, errors.New("the token's aud, sub or other claims are those of no caller")
	}
	return found, nil
}

func newVerdicts() *lru.Cache[[sha256.Size]byte, verdict] {
	cache, err := lru.New[[sha256.Size]byte, verdict](verdicts)
	if err != nil {
		panic(err) // Only for a size below one.
	}
	return cache
}
