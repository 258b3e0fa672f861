package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time of the process and its children, user and system. It reads the kernel's clock of the
// process, clock_getcpuclockid(3), which has nanoseconds and includes the threads that have ended: /proc/PID/stat has
// steps of 10 ms, and /proc/PID/schedstat has one thread only.
func cpuTime(pid int) (time.Duration, error) {
	const cpuClockSched = 2
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &at); err != nil { //nolint:gosec // A pid has 22 bits.
		return 0, fmt.Errorf("clock of process %d: %w", pid, err)
	}
	total := time.Duration(at.Nano())
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		number, parseErr := strconv.Atoi(child)
		if parseErr != nil {
			return 0, parseErr
		}
		more, childErr := cpuTime(number)
		if childErr != nil {
			return 0, childErr
		}
		total += more
	}
	return total, err
}

// residentKiB returns the resident memory of the process.
func residentKiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return namedValue(string(text), "VmRSS:")
}

// namedValue returns the number after a name at the start of a line, as /proc and Prometheus write it.
func namedValue(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("no %s", name)
}
