//go:build unix

package seam

import (
	"errors"
	"syscall"
)

// isIdle reports whether the peer of an idle connection has neither closed it nor sent anything, which would be no
// response to the next request. It does not wait.
func isIdle(connection syscall.RawConn) bool {
	if connection == nil {
		return false
	}
	var failed error
	err := connection.Read(func(descriptor uintptr) bool {
		var buffer [1]byte
		var n int
		if n, failed = syscall.Read(int(descriptor), buffer[:]); n > 0 || failed == nil {
			failed = errNotIdle
		}
		return true
	})
	return err == nil && errors.Is(failed, syscall.EAGAIN)
}

var errNotIdle = errors.New("the connection was closed or has data")
