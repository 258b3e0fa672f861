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

// clockLeeway is the clock skew that is allowed between the issuer and the service.
const clockLeeway = 30 * time.Second

// maxTokenTime is the latest time of a token, in seconds: larger integers are not exact in every JSON parser.
const maxTokenTime = 1 << 53

// tokenTypes are the types of an access token. Other types, such as logout+jwt, have another use.
func tokenTypes() []string { return []string{"jwt", "application/jwt", "at+jwt", "application/at+jwt"} }

// registeredClaims are the names that RFC 7519 gives a meaning.
func registeredClaims() []string { return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} }

// parseJWT returns a token and the issuer that it names, both unverified. It reads no more than that, since every
// client can make it do so. Its errors, like those of readClaims, quote nothing of the token.
func parseJWT(text string) (*jose.JSONWebSignature, string, error) {
	token, err := jose.ParseSignedCompact(text, algorithms())
	if err != nil {
		return nil, "", errors.New("not a JWT with an asymmetric signature")
	}
	if kind, present := token.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; present {
		if name, ok := kind.(string); !ok || !slices.Contains(tokenTypes(), strings.ToLower(name)) {
			return nil, "", errors.New("the token's typ is not that of an access token")
		}
	}
	var read struct {
		Issuer string `json:"iss"`
	}
	// Duplicate names are allowed, because finding them takes most of the time. readClaims refuses them.
	err = json.Unmarshal(token.UnsafePayloadWithoutVerification(), &read, jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, "", errors.New("the token's claims are not a JSON object with a string for iss")
	}
	return token, read.Issuer, nil
}

// claims are the claims that an issuer has signed. Names are case-sensitive.
type claims struct {
	all      map[string]any
	audience []string
	expiry   time.Time
}

// readClaims reads the claims of a verified token and checks that it is valid at a time.
func readClaims(payload []byte, now time.Time) (*claims, error) {
	read := &claims{}
	// Names that differ in case are different names, and a duplicate name is an error.
	if err := json.Unmarshal(payload, &read.all); err != nil {
		return nil, errors.New("the token's claims are not a JSON object with unique names")
	}
	if subject, present := read.all["sub"]; present {
		if _, ok := subject.(string); !ok {
			return nil, errors.New("the token's sub is not a string")
		}
	}
	var ok bool
	if read.audience, ok = texts(read.all["aud"]); !ok {
		return nil, errors.New("the token's aud is neither a string nor a list of strings")
	}
	return read, read.checkTimes(now)
}

// texts returns a string, or a list of strings, as a list.
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

// checkTimes checks that the token is valid at a time, within the leeway.
func (c *claims) checkTimes(now time.Time) error {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, present := c.all[name]
		if !present {
			continue
		}
		seconds, ok := value.(float64)
		if !ok || math.Abs(seconds) > maxTokenTime {
			return errors.New("the token's " + name + " is not a number of seconds")
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

// lookalike reports whether a claim has one of the names in another case. Implementations that ignore case could take
// it for that name.
func (c *claims) lookalike(names []string) bool {
	for claim := range c.all {
		like := func(name string) bool { return strings.EqualFold(claim, name) }
		if !slices.Contains(names, claim) && slices.ContainsFunc(names, like) {
			return true
		}
	}
	return false
}

// matches reports whether the rule matches the token.
func (r *jwtRule) matches(c *claims) bool {
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
