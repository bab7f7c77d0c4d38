//go:build unix

package websocket

import (
	"errors"
	"syscall"
)

// Try writes without waiting. It is one goroutine's, which uses it again and
// again without allocating.
type Try struct {
	bytes []byte
	n     int
	err   error
	once  func(fd uintptr) bool
}

// NewTry returns one.
func NewTry() *Try {
	t := &Try{}
	t.once = func(fd uintptr) bool {
		t.n, t.err = syscall.Write(int(fd), t.bytes)
		return true // done, however it went: never wait
	}
	return t
}

// Write writes as much as fits into the socket right now, which may be
// nothing. A nil conn takes nothing.
func (t *Try) Write(conn syscall.RawConn, bytes []byte) (n int, err error) {
	if conn == nil {
		return 0, nil
	}
	t.bytes = bytes
	err = conn.Write(t.once)
	t.bytes = nil
	if err != nil {
		return 0, err
	}
	if errors.Is(t.err, syscall.EAGAIN) || errors.Is(t.err, syscall.EINTR) {
		return 0, nil
	}
	return max(t.n, 0), t.err
}
