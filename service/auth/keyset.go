package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDocumentBytes bounds a document of an issuer.
const maxDocumentBytes = 1 << 20

// keySet is the keys of an issuer at one time. It is immutable.
type keySet struct {
	digest [sha256.Size]byte
	keys   []jose.JSONWebKey
}

// algorithms are the asymmetric ones. "none" and the HMACs, which could take a public key for the secret, are not among
// them.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.EdDSA,
	}
}

// signed reports whether one of the keys has signed the token, with the key's algorithm.
func (k *keySet) signed(token *jose.JSONWebSignature) bool {
	header := token.Signatures[0].Protected
	for _, key := range k.keys {
		if header.KeyID != "" && header.KeyID != key.KeyID {
			continue
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if _, err := token.Verify(key); err == nil {
			return true
		}
	}
	return false
}

// parseKeySet reads a JSON Web Key Set. It ignores keys that cannot verify a signature, as RFC 7517 requires.
func parseKeySet(text []byte) (*keySet, error) {
	var read struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &read); err != nil || read.Keys == nil {
		return nil, errors.New("its keys are not a JSON Web Key Set")
	}
	set := &keySet{digest: sha256.Sum256(text)}
	for _, one := range read.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(one); err != nil || !key.IsPublic() || (key.Use != "" && key.Use != "sig") {
			continue
		}
		set.keys = append(set.keys, key)
	}
	return set, nil
}

// fetchKeys fetches the keys of an issuer and returns their URL. Without a URL, it fetches the discovery document
// first. A panic over what the issuer has sent is an error: on a goroutine of its own it would end the process.
func fetchKeys(
	ctx context.Context, client *http.Client, issuer, keysURL string,
) (foundURL string, keys *keySet, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic with a value of type %T", value)
		}
	}()
	if keysURL == "" {
		text, err := fetchDocument(ctx, client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
		if err != nil {
			return "", nil, err
		}
		var read struct {
			Issuer  string `json:"issuer"`
			KeysURL string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(text, &read); err != nil || read.Issuer != issuer {
			return "", nil, errors.New("its discovery document names another issuer")
		}
		keysURL = read.KeysURL
	}
	text, err := fetchDocument(ctx, client, keysURL)
	if err != nil {
		return "", nil, err
	}
	set, err := parseKeySet(text)
	return keysURL, set, err
}

// fetchDocument fetches one document. Its errors quote nothing of the response.
func fetchDocument(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil || !isSecureURL(request.URL) {
		return nil, errAddress
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // The body has been read or abandoned.
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentBytes+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("its response has status %d", response.StatusCode)
	case len(text) > maxDocumentBytes:
		return nil, fmt.Errorf("its document is larger than %d bytes", maxDocumentBytes)
	}
	return text, nil
}
