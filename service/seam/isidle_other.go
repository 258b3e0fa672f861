//go:build !unix

package seam

import "syscall"

// isIdle is false where a connection cannot be checked without waiting: it is then used once.
func isIdle(syscall.RawConn) bool { return false }
