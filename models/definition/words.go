package definition

import "strings"

// maxSuggested bounds the words that are compared: what is longer is no slip of the hand.
const maxSuggested = 40

// or joins words as a sentence does: a, b or c.
func or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// oneOf ends a message with what would be right.
func oneOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "; it must be " + or(words)
}

// suggest ends a message with the word that was probably meant, if there is one.
func suggest(given string, words []string) string {
	if len(given) > maxSuggested {
		return ""
	}
	best, found := len(given)/3+2, ""
	for _, word := range words {
		if d := distance(given, word, best); d < best {
			best, found = d, word
		}
	}
	if found == "" {
		return ""
	}
	return "; did you mean " + found + "?"
}

// distance counts the single-byte insertions, deletions, replacements and swaps of neighbours that
// make b of a (optimal string alignment). It gives up at limit, which it then returns.
func distance(a, b string, limit int) int {
	if len(b) > maxSuggested || max(len(a), len(b))-min(len(a), len(b)) >= limit {
		return limit
	}
	var rows [3][maxSuggested + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// compact leaves out empty texts.
func compact(words ...string) []string {
	var kept []string
	for _, w := range words {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}
