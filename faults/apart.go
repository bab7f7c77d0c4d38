package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// apart gives those who ask a processor of their own, as they have in life, and
// the servers and databases the first one: what asking costs would otherwise be
// taken from what is done.
//
// Where there is only one processor, or no taskset, it does nothing.
func (w *world) apart(ctx context.Context) (together func(), err error) {
	if _, missing := exec.LookPath("taskset"); runtime.NumCPU() < 2 || missing != nil {
		return func() {}, nil //nolint:nilerr // said above
	}
	processes := []int{}
	if p := w.setup.Postgres; p != nil {
		processes = append(processes, p.PID())
	}
	if r := w.setup.Redis; r != nil {
		processes = append(processes, r.PID())
	}
	for _, s := range w.servers {
		processes = append(processes, s.PID())
	}
	for _, pid := range processes {
		if err := use(ctx, "0", pid); err != nil {
			return func() {}, err
		}
	}
	before := runtime.GOMAXPROCS(1)
	if err := use(ctx, "1", os.Getpid()); err != nil {
		return func() {}, err
	}
	return func() {
		runtime.GOMAXPROCS(before)
		_ = use(context.WithoutCancel(ctx), "0-1", os.Getpid()) // the stories after this one are only slower
	}, nil
}

// use has a process, all its threads and its children use a processor.
func use(ctx context.Context, processor string, pid int) error {
	pids := []string{strconv.Itoa(pid)}
	if children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)); err == nil && pid != os.Getpid() {
		pids = append(pids, strings.Fields(string(children))...)
	}
	for _, p := range pids {
		if out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", processor, p).CombinedOutput(); err != nil {
			return fmt.Errorf("taskset: %w\n%s", err, out)
		}
	}
	return nil
}
