package seam

// Header is a header of a caller that is passed on to Seam.
type Header struct {
	// Name is the header's name in lower case, as gRPC metadata has it, and Key the same as net/http has it.
	Name, Key string
	// Credential is true for a header that can prove who the caller is by itself.
	Credential bool
}

// Headers is the allowlist of the headers that are passed on from a caller to Seam. All others are dropped. It returns
// an array, which allocates nothing: each call uses it.
func Headers() [10]Header {
	return [...]Header{
		{"authorization", "Authorization", true},
		{"client-session-token", "Client-Session-Token", true},
		{"seam-client-session-token", "Seam-Client-Session-Token", true},
		{"seam-publishable-key", "Seam-Publishable-Key", true},
		{"seam-workspace", "Seam-Workspace", false},
		{"seam-user-identifier-key", "Seam-User-Identifier-Key", false},
		{"user-identifier-key", "User-Identifier-Key", false},
		{"seam-lts-version", "Seam-Lts-Version", false},
		{"seam-sdk-name", "Seam-Sdk-Name", false},
		{"seam-sdk-version", "Seam-Sdk-Version", false},
	}
}
