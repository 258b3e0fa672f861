package auth

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// clockLeeway is how far the clocks of the issuer and of the service may be apart.
const clockLeeway = 30 * time.Second

// maxTokenTime is the latest time of a token, in seconds: larger numbers are not whole in every reader of JSON.
const maxTokenTime = 1 << 53

// tokenTypes are the types of a token that tells who calls. Others, such as that of a logout, are made for other uses.
func tokenTypes() []string { return []string{"jwt", "application/jwt", "at+jwt", "application/at+jwt"} }

// registeredClaims are the names that RFC 7519 gives a meaning.
func registeredClaims() []string { return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} }

// jwt is a token of which everything but the signature was checked. Its errors quote nothing of it.
type jwt struct {
	signature *jose.JSONWebSignature
	// claims are read by their exact names.
	claims   map[string]any
	issuer   string
	audience []string
	expiry   time.Time
}

func parseJWT(text string, now time.Time) (*jwt, error) {
	signature, err := jose.ParseSignedCompact(text, algorithms())
	if err != nil {
		return nil, errors.New("not a JWT that is signed with an algorithm of public keys")
	}
	if kind, given := signature.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; given {
		if name, ok := kind.(string); !ok || !slices.Contains(tokenTypes(), strings.ToLower(name)) {
			return nil, errors.New("the token's typ is that of another use")
		}
	}
	token := &jwt{signature: signature}
	// Names that differ in case are different ones, and a name that is there twice is an error.
	if err := json.Unmarshal(signature.UnsafePayloadWithoutVerification(), &token.claims); err != nil {
		return nil, errors.New("the token's claims are no JSON object with each name once")
	}
	var ok bool
	if token.issuer, ok = token.claims["iss"].(string); !ok {
		return nil, errors.New("the token's iss is no text")
	}
	if subject, given := token.claims["sub"]; given {
		if _, ok := subject.(string); !ok {
			return nil, errors.New("the token's sub is no text")
		}
	}
	if token.audience, ok = texts(token.claims["aud"]); !ok {
		return nil, errors.New("the token's aud is no text and no list of texts")
	}
	return token, token.checkTimes(now)
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
func (t *jwt) checkTimes(now time.Time) error {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, given := t.claims[name]
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
	if t.expiry, ok = times["exp"]; !ok {
		return errors.New("the token has no exp")
	}
	switch {
	case !now.Before(t.expiry.Add(clockLeeway)):
		return errors.New("the token has expired")
	case times["nbf"].After(now.Add(clockLeeway)):
		return errors.New("the token is not valid yet")
	case times["iat"].After(now.Add(clockLeeway)):
		return errors.New("the token was issued in the future")
	}
	return nil
}

// lookalike says whether a claim has a name that others could take for one of the names, for they ignore case.
func (t *jwt) lookalike(names []string) bool {
	for claim := range t.claims {
		like := func(name string) bool { return strings.EqualFold(claim, name) }
		if !slices.Contains(names, claim) && slices.ContainsFunc(names, like) {
			return true
		}
	}
	return false
}

// fits says whether the token is one that the rule is about.
func (r jwtRule) fits(token *jwt) bool {
	if !slices.Contains(token.audience, r.Audience) || (r.Subject != "" && token.claims["sub"] != r.Subject) {
		return false
	}
	for name, want := range r.Claims {
		if token.claims[name] != want {
			return false
		}
	}
	return true
}
