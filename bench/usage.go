package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is the CPU time that was spent until now.
type usage struct{ server, sql time.Duration }

// clockTick is the unit of the kernel's own accounts.
const clockTick = 10 * time.Millisecond

func usageOf(s *side) (u usage, err error) {
	stats, err := processes()
	if err != nil {
		return u, err
	}
	own, ok := stats[s.PID()]
	if !ok {
		return u, fmt.Errorf("%s has ended: %s", s.name, s.Log())
	}
	u.server = own.ran
	if s.sql == nil {
		return u, nil
	}
	// A worker's time goes to its parent's account of children when it ends.
	top := stats[s.sql.PID()]
	u.sql = top.ran + top.children
	for _, p := range stats {
		if p.parent == s.sql.PID() {
			u.sql += p.ran
		}
	}
	return u, nil
}

type process struct {
	parent        int
	ran, children time.Duration
}

// processes reads all there are from /proc.
func processes() (map[int]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	out := make(map[int]process, len(paths))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state parent …, where the name may hold anything.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(fields) < 15 {
			continue
		}
		number := func(i int) int64 {
			n, _ := strconv.ParseInt(string(fields[i]), 10, 64) // the kernel writes numbers
			return n
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		out[pid] = process{
			parent:   int(number(1)),
			ran:      time.Duration(number(11)+number(12)) * clockTick,
			children: time.Duration(number(13)+number(14)) * clockTick,
		}
	}
	return out, nil
}

// resident is a process's resident memory, in bytes.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}
