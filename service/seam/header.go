package seam

// Header is a header that callers may set and that Seam gets to see.
type Header struct {
	// Name is the header's name in lower case, as gRPC metadata has it.
	Name string
	// Credential is true for a header that can prove who the caller is by itself.
	Credential bool
}

// Headers is the whole list of what is passed on to Seam from a caller. Anything else a caller sends stays here.
func Headers() []Header {
	return []Header{
		{Name: "authorization", Credential: true},
		{Name: "client-session-token", Credential: true},
		{Name: "seam-client-session-token", Credential: true},
		{Name: "seam-publishable-key", Credential: true},
		{Name: "seam-workspace"},
		{Name: "seam-user-identifier-key"},
		{Name: "user-identifier-key"},
		{Name: "seam-lts-version"},
		{Name: "seam-sdk-name"},
		{Name: "seam-sdk-version"},
	}
}
