package auth_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/codes"
)

// unsigned makes a token by hand, for what no library signs.
func unsigned(t *testing.T, header string, claims map[string]any, signature string) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode(payload) + "." + encode([]byte(signature))
}

// TestJWT shows which tokens of an issuer prove a caller. Every member of the rule has to match.
func TestJWT(t *testing.T) {
	at := time.Now()
	from := newIssuer(t, rsaKey(), ellipticES().Public())
	with := func(change map[string]any) map[string]any { return from.claims(at, change) }
	public, err := x509.MarshalPKIXPublicKey(rsaKey().Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	good := rsaKey().Sign(t, with(nil))
	parts := strings.Split(good, ".")
	in := func(d time.Duration) int64 { return at.Add(d).Unix() }
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"RS256":                 {good, true},
		"ES256":                 {signWith(t, jose.ES256, ellipticES(), with(nil), nil), true},
		"PS256, the same key":   {signWith(t, jose.PS256, jwk(rsaKey().Private, "unlisted"), with(nil), nil), false},
		"audience in a list":    {rsaKey().Sign(t, with(map[string]any{"aud": []string{"x", "client-sessions"}})), true},
		"no key id":             {signWith(t, jose.RS256, rsaKey().Private, with(nil), nil), true},
		"expired in leeway":     {rsaKey().Sign(t, with(map[string]any{"exp": in(-25 * time.Second)})), true},
		"early within leeway":   {rsaKey().Sign(t, with(map[string]any{"nbf": in(25 * time.Second)})), true},
		"expired":               {rsaKey().Sign(t, with(map[string]any{"exp": in(-35 * time.Second)})), false},
		"expired long ago":      {rsaKey().Sign(t, with(map[string]any{"exp": in(-time.Hour)})), false},
		"no expiry":             {rsaKey().Sign(t, with(map[string]any{"exp": nil})), false},
		"expiry is a text":      {rsaKey().Sign(t, with(map[string]any{"exp": "never"})), false},
		"early by more":         {rsaKey().Sign(t, with(map[string]any{"nbf": in(35 * time.Second)})), false},
		"not yet valid":         {rsaKey().Sign(t, with(map[string]any{"nbf": in(10 * time.Minute)})), false},
		"wrong audience":        {rsaKey().Sign(t, with(map[string]any{"aud": "others"})), false},
		"audience like it":      {rsaKey().Sign(t, with(map[string]any{"aud": "client-sessions/"})), false},
		"no audience":           {rsaKey().Sign(t, with(map[string]any{"aud": nil})), false},
		"wrong issuer":          {rsaKey().Sign(t, with(map[string]any{"iss": "https://other.example"})), false},
		"issuer with a slash":   {rsaKey().Sign(t, with(map[string]any{"iss": from.URL + "/"})), false},
		"no issuer":             {rsaKey().Sign(t, with(map[string]any{"iss": nil})), false},
		"issuer is a list":      {rsaKey().Sign(t, with(map[string]any{"iss": []string{from.URL}})), false},
		"wrong subject":         {rsaKey().Sign(t, with(map[string]any{"sub": "order"})), false},
		"no subject":            {rsaKey().Sign(t, with(map[string]any{"sub": nil})), false},
		"wrong claim":           {rsaKey().Sign(t, with(map[string]any{"team": "checkouts"})), false},
		"no claim":              {rsaKey().Sign(t, with(map[string]any{"team": nil})), false},
		"claim in a list":       {rsaKey().Sign(t, with(map[string]any{"team": []string{"checkout"}})), false},
		"signed by another key": {otherKey().Sign(t, with(nil)), false},
		"another key, known id": {signWith(t, jose.RS256, jwk(otherKey().Private, "rsa"), with(nil), nil), false},
		"another key in it":     {signWith(t, jose.RS256, otherKey().Private, with(nil), &jose.SignerOptions{EmbedJWK: true}), false},
		"HS256, public DER":     {signWith(t, jose.HS256, jwk(public, "rsa"), with(nil), nil), false},
		"HS256, public PEM":     {signWith(t, jose.HS256, jwk(publicPEM, "rsa"), with(nil), nil), false},
		"none":                  {unsigned(t, `{"alg":"none","kid":"rsa"}`, with(nil), ""), false},
		"NONE":                  {unsigned(t, `{"alg":"NONE","kid":"rsa"}`, with(nil), ""), false},
		"no algorithm":          {unsigned(t, `{"kid":"rsa"}`, with(nil), "x"), false},
		"none, good signature":  {unsigned(t, `{"alg":"none","kid":"rsa"}`, with(nil), parts[2]), false},
		"critical header":       {unsigned(t, `{"alg":"RS256","kid":"rsa","crit":["exp"]}`, with(nil), "x"), false},
		"keys by address":       {unsigned(t, `{"alg":"RS256","kid":"x","jku":"`+from.URL+`/mine"}`, with(nil), "x"), false},
		"no signature":          {parts[0] + "." + parts[1] + ".", false},
		"signature cut":         {good[:len(good)-4], false},
		"other payload":         {parts[0] + "." + strings.Split(unsigned(t, "", with(map[string]any{"sub": "x"}), ""), ".")[1] + "." + parts[2], false},
		"four parts":            {good + ".x", false},
		"three dots":            {"..", false},
		"payload is no JSON":    {"e30.e30e.e30", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := from.try(t, at, test.token)
			if got.served != test.good {
				t.Errorf("served: %t (%s)", got.served, got.cause())
			}
			if !test.good && got.code() != codes.Unauthenticated {
				t.Errorf("code %s", got.code())
			}
			for part := range strings.SplitSeq(test.token, ".") {
				if len(part) > 20 && strings.Contains(got.cause(), part) {
					t.Errorf("the cause quotes the token: %s", got.cause())
				}
			}
		})
	}
}

// TestJWTCallersRPCs shows that a token authenticates its caller and the file authorises it.
func TestJWTCallersRPCs(t *testing.T) {
	h := startJWT(t)
	text := h.sign(rsaKey(), map[string]any{"rpcs": []string{"*"}, "name": "admin"})
	got := callRPC(t, h.callers, "/seam.clientsession.v1.ClientSessionService/Get", bearer(text), nil)
	if got.caller != "orders" || got.code() != codes.PermissionDenied {
		t.Errorf("caller %q, code %s", got.caller, got.code())
	}
}
