package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// NewToken returns a new bearer token for a caller, and its SHA-256 for the callers file. 26 characters of base 32 are
// 130 random bits, which cannot be guessed; so a plain hash is as safe as a slow one.
func NewToken() (token, digest string) {
	token = "css_" + rand.Text()
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}
