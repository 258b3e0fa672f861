//go:build !linux

package seam

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing where the kernel has no such option; the deadlines of the calls still hold.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
