package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	lru "github.com/hashicorp/golang-lru/v2"
)

// jwtRule says which tokens of an issuer are a caller's. Everything that is given has to fit.
type jwtRule struct {
	Issuer   string            `yaml:"issuer"`
	Audience string            `yaml:"audience"`
	Subject  string            `yaml:"subject"`
	Claims   map[string]string `yaml:"claims"`
}

const (
	// clockLeeway is how far the clocks of the issuer and of the service may be apart.
	clockLeeway = 30 * time.Second
	// issuerTimeout bounds a request to an issuer; a call that waits for it has its own deadline, too.
	issuerTimeout = 5 * time.Second
	// refetchInterval is the least time between two requests to an issuer, so that callers with junk tokens cannot
	// make the service flood it.
	refetchInterval = 5 * time.Second
	// keysKept is how long a key that the issuer has withdrawn may still be good.
	keysKept = 10 * time.Minute
	// verdicts is how many verified tokens are remembered: a signature takes some 40 to 90 µs to check.
	verdicts = 4096
)

// algorithms are those whose keys can be public. "none" and the HMACs, with which a public key could pass for a
// secret, are not among them.
func algorithms() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.EdDSA,
	}
}

// issuers are the issuers of tokens, with their keys. They outlive a callers file that is read anew.
type issuers struct {
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	known map[string]*issuer
}

func newIssuers(client *http.Client, now func() time.Time) *issuers {
	return &issuers{client: client, now: now, known: map[string]*issuer{}}
}

// issuer is one issuer. It is asked for its keys when the first token of it comes.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu sync.Mutex
	// keys are those it had at the time of since; nil before they came.
	keys  oidc.KeySet
	since time.Time
	// asking is closed when the answer to the question under way has come; nil when none is. tried is when the last was
	// asked, and fault why it came to nothing.
	asking chan struct{}
	tried  time.Time
	fault  error
}

func (i *issuers) get(address string) *issuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.known[address]
	if !ok {
		client := *i.client
		client.Timeout = issuerTimeout
		client.Transport = &throttled{next: i.client.Transport, now: i.now, answers: map[string]throttledAnswer{}}
		known = &issuer{url: address, client: &client, now: i.now}
		i.known[address] = known
	}
	return known
}

var errIssuer = errors.New("the issuer of the token could not be asked for its keys")

// keySet returns the issuer's keys. It waits for them no longer than the call lives. While the issuer cannot be reached
// and its keys are not known, no token of it is good.
func (i *issuer) keySet(ctx context.Context) (oidc.KeySet, error) {
	i.mu.Lock()
	if i.keys != nil && i.now().Sub(i.since) < keysKept {
		defer i.mu.Unlock()
		return i.keys, nil
	}
	if i.asking == nil {
		if i.now().Sub(i.tried) < refetchInterval {
			defer i.mu.Unlock()
			return nil, i.fault
		}
		i.tried, i.asking = i.now(), make(chan struct{})
		// It goes on when this call ends: others wait for it too. The client's timeout ends it.
		go i.ask() //nolint:gosec,contextcheck // As said above, it is not to end with the call.
	}
	answered := i.asking
	i.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-answered:
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fault != nil {
		return nil, i.fault
	}
	return i.keys, nil
}

// ask asks the issuer where its keys are. The set asks for the keys themselves, and again when it meets one it does not
// have; it is made anew from time to time, because it never forgets a key.
func (i *issuer) ask() {
	// The set keeps the context for later requests, so it must not be that of a call.
	ctx := oidc.ClientContext(context.Background(), i.client)
	var document struct {
		KeysURL string `json:"jwks_uri"`
	}
	provider, err := oidc.NewProvider(ctx, i.url)
	if err == nil {
		err = provider.Claims(&document)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault = nil
	if err != nil {
		i.keys, i.fault = nil, fmt.Errorf("%w: %w", errIssuer, err)
	} else {
		i.keys, i.since = oidc.NewRemoteKeySet(ctx, document.KeysURL), i.now()
	}
	close(i.asking)
	i.asking = nil
}

// verifier returns what verifies the tokens of the issuer for an audience.
func (i *issuer) verifier(keys oidc.KeySet, audience string) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(i.url, keys, &oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: algorithms(),
		Now:                  func() time.Time { return i.now().Add(-clockLeeway) },
	})
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
	d.issuers[rule.Issuer] = issuers.get(rule.Issuer)
	d.jwts[rule.Issuer] = append(d.jwts[rule.Issuer], jwtCaller{rule, c})
	return nil
}

// trustworthy says whether keys that come from an address are the issuer's: nobody can change them on the way.
func trustworthy(address *url.URL) bool {
	ip, err := netip.ParseAddr(address.Hostname())
	return address.Scheme == "https" || (address.Scheme == "http" && err == nil && ip.IsLoopback())
}

// verdict is what came of verifying a token.
type verdict struct {
	caller *caller
	expiry time.Time
}

// byJWT returns whose token it is, nil if it is nobody's. The error tells the log why.
func (d *directory) byJWT(ctx context.Context, text string, now time.Time) (*caller, error) {
	digest := sha256.Sum256([]byte(text))
	if known, ok := d.verdicts.Get(digest); ok && now.Before(known.expiry) {
		return known.caller, nil
	}
	from := issuerOf(text)
	rules := d.jwts[from]
	if len(rules) == 0 {
		return nil, errors.New("no caller has tokens of that issuer")
	}
	keys, err := d.issuers[from].keySet(ctx)
	if err != nil {
		return nil, err
	}
	var faults []error
	var found *verdict
	for _, candidate := range rules {
		token, err := d.issuers[from].verifier(keys, candidate.rule.Audience).Verify(ctx, text)
		switch {
		case err != nil:
			faults = append(faults, err)
		case !candidate.rule.fits(token, now):
			faults = append(faults, errors.New("subject, claims or nbf do not fit"))
		case found != nil && found.caller != candidate.caller:
			return nil, fmt.Errorf("the token is that of %s and %s", found.caller.name, candidate.caller.name)
		default:
			found = &verdict{candidate.caller, token.Expiry.Add(clockLeeway)}
		}
	}
	if found == nil {
		return nil, errors.Join(faults...)
	}
	d.verdicts.Add(digest, *found)
	return found.caller, nil
}

func (r jwtRule) fits(token *oidc.IDToken, now time.Time) bool {
	if r.Subject != "" && r.Subject != token.Subject {
		return false
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return false
	}
	// go-oidc lets a token be early by five minutes, far more than by how much the clocks may be apart.
	if early, ok := claims["nbf"].(float64); ok && now.Add(clockLeeway).Unix() < int64(early) {
		return false
	}
	for name, want := range r.Claims {
		if got, ok := claims[name].(string); !ok || got != want {
			return false
		}
	}
	return true
}

// issuerOf reads who a token says it is from, which decides by whose keys it is verified and nothing else.
func issuerOf(text string) string {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return ""
	}
	return claims.Issuer
}

func newVerdicts() *lru.Cache[[sha256.Size]byte, verdict] {
	cache, err := lru.New[[sha256.Size]byte, verdict](verdicts)
	if err != nil {
		panic(err) // Only for a size below one.
	}
	return cache
}
