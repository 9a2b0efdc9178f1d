package boot

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Bytes is a flag's number of bytes, written as 512MiB, 2GB or 1048576.
type Bytes int64

var _ pflag.Value = (*Bytes)(nil)

// units are tried in this order, so that a unit comes before those it ends with.
var units = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// Set reads a size. A number without a unit counts bytes.
func (b *Bytes) Set(text string) error {
	number, size := strings.TrimSpace(text), 1.0
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(number, unit.name); ok {
			number, size = strings.TrimSpace(rest), unit.size
			break
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value < 0 || value*size > math.MaxInt64/2 || math.IsNaN(value) {
		return fmt.Errorf("%q is not a size such as 512MiB", text)
	}
	*b = Bytes(value * size)
	return nil
}

// String writes the size in the largest binary unit that divides it.
func (b *Bytes) String() string {
	n := int64(*b)
	if n == 0 {
		return "0"
	}
	for i := 3; i >= 0; i-- {
		if size := int64(units[i].size); n%size == 0 {
			return strconv.FormatInt(n/size, 10) + units[i].name
		}
	}
	return strconv.FormatInt(n, 10)
}

// Type is what --help calls the value.
func (b *Bytes) Type() string { return "size" }
