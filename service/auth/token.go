package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// NewToken returns a new bearer token for a caller, and its SHA-256 for the callers file. 26 characters of base 32 are
// 130 random bits, which nobody guesses; so a plain hash keeps it as well as a slow one would.
func NewToken() (token, digest string) {
	token = "css_" + rand.Text()
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}
