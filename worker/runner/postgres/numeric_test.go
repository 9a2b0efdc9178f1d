package postgres

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// TestNumericRoundTrip: every decimal survives PostgreSQL's form and back.
func TestNumericRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		digits := 1 + random.IntN(38)
		scale := random.IntN(digits + 1)
		var b strings.Builder
		for range digits {
			b.WriteByte(byte('0' + random.IntN(10)*random.IntN(2)))
		}
		value, _ := new(big.Int).SetString(b.String(), 10)
		if random.IntN(2) == 0 {
			value.Neg(value)
		}
		want := decimal128.FromBigInt(value)
		got, err := decodeNumeric(appendNumeric(nil, want, scale), scale)
		if err != nil || got != want {
			t.Fatalf("%s with scale %d came back as %s (%v)", value, scale, got.BigInt(), err)
		}
	}
}

func FuzzDecodeNumeric(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, 0)
	f.Add([]byte{0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0x27, 0x0f}, 4)
	f.Fuzz(func(t *testing.T, b []byte, scale int) {
		if scale < 0 || scale > 38 {
			return
		}
		n, err := decodeNumeric(b, scale)
		if err != nil {
			return
		}
		if again, err := decodeNumeric(appendNumeric(nil, n, scale), scale); err != nil || again != n {
			t.Fatalf("%x: %s came back as %s (%v)", b, n.BigInt(), again.BigInt(), err)
		}
	})
}

func TestSplit(t *testing.T) {
	const least, most = -9223372036854775808, 9223372036854775807
	for _, c := range []struct {
		low, high int64
		parts     int
	}{{0, 10, 4}, {0, 1, 8}, {least, most, 3}, {-5, 5, 1000}, {most - 1, most, 2}} {
		bounds := split(c.low, c.high, c.parts)
		if len(bounds) == 0 || len(bounds) >= c.parts {
			t.Errorf("%+v: %d bounds", c, len(bounds))
		}
		previous := c.low
		for _, b := range bounds {
			if b <= previous || b > c.high {
				t.Errorf("%+v: bound %d after %d", c, b, previous)
			}
			previous = b
		}
	}
}
