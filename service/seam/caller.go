package seam

// Caller identifies the caller of a call for the circuit breakers.
type Caller struct {
	// Name is the caller's in the callers file, empty for a caller that Seam authenticates.
	Name string
	// Key is a hash that identifies the caller.
	Key uint64
	// Proven is true when the caller is authenticated, or Seam has accepted its credential before. All others count as
	// one: credentials can be made up.
	Proven bool
}

// sharedKey is the key of the caller where callers share something: its own, or one for all that are not proven.
func (c Caller) sharedKey() uint64 {
	if c.Proven {
		return c.Key
	}
	return 0
}
