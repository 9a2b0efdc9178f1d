package boot

import (
	"bytes"
	"os"
	"strconv"
)

// fallbackMemory is assumed where the system does not say how much memory there is.
const fallbackMemory = 4 << 30

// Memory is how many bytes of memory this process and its children may use: the machine's, or the
// limit of its control group where that is lower.
func Memory() int64 {
	total := int64(fallbackMemory)
	if n, ok := memTotal("/proc/meminfo"); ok {
		total = n
	}
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		content, err := os.ReadFile(limit)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64); err == nil && n > 0 {
			total = min(total, n)
		}
	}
	return total
}

// memTotal reads the line "MemTotal: 1024 kB".
func memTotal(file string) (int64, bool) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(content) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "MemTotal:" {
			n, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return n << 10, err == nil
		}
	}
	return 0, false
}
