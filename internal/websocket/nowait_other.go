//go:build !unix

package websocket

import "syscall"

// Try would write without waiting; here every write may wait, and has a
// goroutine of its own.
type Try struct{}

// NewTry returns one.
func NewTry() *Try { return &Try{} }

// Write takes nothing.
func (*Try) Write(syscall.RawConn, []byte) (int, error) { return 0, nil }
