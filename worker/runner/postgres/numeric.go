package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// The binary form of numeric: ndigits, weight, sign, dscale (int16 each), then ndigits digits to the base
// 10000, the first of which stands for 10000^weight.
// Source: PostgreSQL, src/backend/utils/adt/numeric.c, numeric_send.
const (
	numericBase     = 10_000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInf      = 0xD000
	numericNegInf   = 0xF000
)

var errNumeric = errors.New("it is not a number in PostgreSQL's binary form")

// uint128 is an unsigned magnitude.
type uint128 struct{ hi, lo uint64 }

// mulAdd is u*m + a; ok is false where that needs more than 127 bits.
func (u uint128) mulAdd(m, a uint64) (r uint128, ok bool) {
	carry, lo := bits.Mul64(u.lo, m)
	over, hi := bits.Mul64(u.hi, m)
	lo, c := bits.Add64(lo, a, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	return uint128{hi, lo}, over == 0 && c2 == 0 && hi>>63 == 0
}

// divMod divides by a small number.
func (u uint128) divMod(d uint64) (uint128, uint64) {
	hi, rem := u.hi/d, u.hi%d
	lo, rem := bits.Div64(rem, u.lo, d)
	return uint128{hi, lo}, rem
}

var pow10 = [5]uint64{1, 10, 100, 1000, 10_000}

// decodeNumeric reads a numeric as a decimal with the scale given. It never rounds: a value with more
// digits than the scale is an error.
func decodeNumeric(b []byte, scale int) (decimal128.Num, error) {
	var zero decimal128.Num
	if len(b) < 8 {
		return zero, errNumeric
	}
	count := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	switch sign {
	case 0, numericNegative:
	case numericNaN:
		return zero, errors.New("it is NaN, which a decimal cannot hold; cast it to double precision or text in a query")
	case numericInf, numericNegInf:
		return zero, errors.New("it is infinite, which a decimal cannot hold; cast it to double precision or text in a query")
	default:
		return zero, errNumeric
	}
	if len(b) != 8+2*count {
		return zero, errNumeric
	}
	digits := b[8:]
	digit := func(position int) uint64 { // of 10000^position
		i := weight - position
		if i < 0 || i >= count {
			return 0
		}
		return uint64(binary.BigEndian.Uint16(digits[2*i:]))
	}
	groups, rest := scale/4, scale%4
	if lowest := weight - count + 1; count > 0 && lowest < -groups-1 {
		return zero, fmt.Errorf("it has more than %d digits after the point", scale)
	}
	var u uint128
	ok := true
	for position := weight; position >= -groups && ok; position-- {
		u, ok = u.mulAdd(numericBase, digit(position))
	}
	if weight < -groups {
		u = uint128{}
	}
	last := digit(-groups - 1)
	if last%pow10[4-rest] != 0 {
		return zero, fmt.Errorf("it has more than %d digits after the point", scale)
	}
	if ok && rest > 0 {
		u, ok = u.mulAdd(pow10[rest], last/pow10[4-rest])
	}
	if !ok {
		return zero, errors.New("it has more than 38 digits")
	}
	n := decimal128.New(int64(u.hi), u.lo)
	if sign == numericNegative {
		n = n.Negate()
	}
	return n, nil
}

// appendNumeric writes a decimal in numeric's binary form, without its length.
func appendNumeric(b []byte, n decimal128.Num, scale int) []byte {
	sign := uint16(0)
	if n.Sign() < 0 {
		sign = numericNegative
		n = n.Negate()
	}
	u := uint128{uint64(n.HighBits()), n.LowBits()}
	var groups [16]uint16 // least significant first; 38 digits need at most 11
	count := 0
	fraction := (scale + 3) / 4
	if rest := scale % 4; rest > 0 {
		var low uint64
		u, low = u.divMod(pow10[rest])
		groups[0] = uint16(low * pow10[4-rest])
		count = 1
	}
	for u.hi|u.lo != 0 {
		var low uint64
		u, low = u.divMod(numericBase)
		groups[count] = uint16(low)
		count++
	}
	first := 0
	for first < count && groups[first] == 0 {
		first++
	}
	for count > first && groups[count-1] == 0 {
		count--
	}
	weight := 0
	if count > first {
		weight = count - 1 - fraction
	}
	b = binary.BigEndian.AppendUint16(b, uint16(count-first))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(weight)))
	b = binary.BigEndian.AppendUint16(b, sign)
	b = binary.BigEndian.AppendUint16(b, uint16(scale))
	for i := count - 1; i >= first; i-- {
		b = binary.BigEndian.AppendUint16(b, groups[i])
	}
	return b
}
