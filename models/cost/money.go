// Package cost computes what executions cost: rates by version, and exact charges of what tasks used.
package cost

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	microDigits = 6
	picoDigits  = 12
	// maxDollars bounds amounts, so that none overflows.
	maxDollars = 1_000_000
)

// ParseUSD reads an amount in dollars, such as 12 or 0.25, as millionths of a dollar.
func ParseUSD(text string) (int64, error) { return parseDecimal(text, microDigits) }

// FormatUSD writes millionths of a dollar as dollars, with at least two decimals and without zeros after
// those.
func FormatUSD(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	whole, rest := micros/1_000_000, fmt.Sprintf("%06d", micros%1_000_000)
	return fmt.Sprintf("%s%d.%s%s", sign, whole, rest[:2], strings.TrimRight(rest[2:], "0"))
}

// parseDecimal reads a decimal number exactly, in units of its last allowed digit.
func parseDecimal(text string, digits int) (int64, error) {
	whole, fraction, point := strings.Cut(text, ".")
	switch {
	case !isDigits(whole) || point && !isDigits(fraction):
		return 0, fmt.Errorf("%.40q is not an amount in dollars such as 0.25", text)
	case len(fraction) > digits:
		return 0, fmt.Errorf("%.40q has more than %d decimals", text, digits)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if limit := maxDollars * pow10(digits); err != nil || n > limit {
		return 0, fmt.Errorf("%.40q is more than %d dollars", text, maxDollars)
	}
	return n, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}
