package auth

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// clockLeeway is how far the clocks of the issuer and of the service may be apart.
const clockLeeway = 30 * time.Second

// maxTokenTime is the latest time of a token, in seconds: larger numbers are not whole in every reader of JSON.
const maxTokenTime = 1 << 53

// tokenTypes are the types of a token that tells who calls. Others, such as that of a logout, are made for other uses.
func tokenTypes() []string { return []string{"jwt", "application/jwt", "at+jwt", "application/at+jwt"} }

// registeredClaims are the names that RFC 7519 gives a meaning.
func registeredClaims() []string { return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} }

// parseJWT returns a token and the issuer that it names, of which nothing is verified as yet. It reads no more than
// that, since it does so for everybody. Its errors, like those of readClaims, quote nothing of the token.
func parseJWT(text string) (*jose.JSONWebSignature, string, error) {
	token, err := jose.ParseSignedCompact(text, algorithms())
	if err != nil {
		return nil, "", errors.New("not a JWT that is signed with an algorithm of public keys")
	}
	if kind, given := token.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; given {
		if name, ok := kind.(string); !ok || !slices.Contains(tokenTypes(), strings.ToLower(name)) {
			return nil, "", errors.New("the token's typ is that of another use")
		}
	}
	var read struct {
		Issuer string `json:"iss"`
	}
	// To find names that are there twice takes most of the time. readClaims does so.
	err = json.Unmarshal(token.UnsafePayloadWithoutVerification(), &read, jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, "", errors.New("the token's claims are no JSON object with a text for iss")
	}
	return token, read.Issuer, nil
}

// claims are what an issuer has signed. They are read by their exact names.
type claims struct {
	all      map[string]any
	audience []string
	expiry   time.Time
}

// readClaims reads what a token says that was verified, and whether it is good at a time.
func readClaims(payload []byte, now time.Time) (*claims, error) {
	read := &claims{}
	// Names that differ in case are different ones, and a name that is there twice is an error.
	if err := json.Unmarshal(payload, &read.all); err != nil {
		return nil, errors.New("the token's claims are no JSON object with each name once")
	}
	if subject, given := read.all["sub"]; given {
		if _, ok := subject.(string); !ok {
			return nil, errors.New("the token's sub is no text")
		}
	}
	var ok bool
	if read.audience, ok = texts(read.all["aud"]); !ok {
		return nil, errors.New("the token's aud is no text and no list of texts")
	}
	return read, read.checkTimes(now)
}

// texts returns a text, or a list of them, as a list.
func texts(value any) ([]string, bool) {
	if text, ok := value.(string); ok {
		return []string{text}, true
	}
	list, ok := value.([]any)
	var all []string
	for _, one := range list {
		text, isText := one.(string)
		all, ok = append(all, text), ok && isText
	}
	return all, ok
}

// checkTimes says whether the token is good at a time, give or take the leeway.
func (c *claims) checkTimes(now time.Time) error {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, given := c.all[name]
		if !given {
			continue
		}
		seconds, ok := value.(float64)
		if !ok || math.Abs(seconds) > maxTokenTime {
			return errors.New("the token's " + name + " is no number of seconds")
		}
		times[name] = time.Unix(int64(seconds), 0)
	}
	var ok bool
	if c.expiry, ok = times["exp"]; !ok {
		return errors.New("the token has no exp")
	}
	switch {
	case !now.Before(c.expiry.Add(clockLeeway)):
		return errors.New("the token has expired")
	case times["nbf"].After(now.Add(clockLeeway)):
		return errors.New("the token is not valid yet")
	case times["iat"].After(now.Add(clockLeeway)):
		return errors.New("the token was issued in the future")
	}
	return nil
}

// lookalike says whether a claim has a name that others could take for one of the names, for they ignore case.
func (c *claims) lookalike(names []string) bool {
	for claim := range c.all {
		like := func(name string) bool { return strings.EqualFold(claim, name) }
		if !slices.Contains(names, claim) && slices.ContainsFunc(names, like) {
			return true
		}
	}
	return false
}

// fits says whether the token is one that the rule is about.
func (r jwtRule) fits(c *claims) bool {
	if !slices.Contains(c.audience, r.Audience) || (r.Subject != "" && c.all["sub"] != r.Subject) {
		return false
	}
	for name, want := range r.Claims {
		if c.all[name] != want {
			return false
		}
	}
	return true
}
