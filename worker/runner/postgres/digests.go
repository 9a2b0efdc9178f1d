package postgres

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// digests are the digests of rows in ascending order, each as often as there were such rows. In JSON they are packed.
type digests []int64

func (d digests) sort() { slices.Sort(d) }

// union holds each digest as often as the one of the two that holds it more often.
func (d digests) union(other digests) digests {
	all := make(digests, 0, max(len(d), len(other)))
	for i, j := 0, 0; i < len(d) || j < len(other); {
		switch {
		case j == len(other) || i < len(d) && d[i] < other[j]:
			all = append(all, d[i])
			i++
		case i == len(d) || other[j] < d[i]:
			all = append(all, other[j])
			j++
		default:
			all = append(all, d[i])
			i++
			j++
		}
	}
	return all
}

// array is the text of a PostgreSQL array.
func (d digests) array() string {
	text := make([]byte, 0, 2+21*len(d))
	text = append(text, '{')
	for i, v := range d {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, v, 10)
	}
	return string(append(text, '}'))
}

// MarshalJSON packs the digests, 8 bytes each.
func (d digests) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, 8*len(d))
	for _, v := range d {
		packed = binary.BigEndian.AppendUint64(packed, uint64(v))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(packed))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *digests) UnmarshalJSON(text []byte) error {
	var encoded string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return err
	}
	packed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	if len(packed)%8 != 0 {
		return errors.New("digests are cut off")
	}
	*d = make(digests, 0, len(packed)/8)
	for len(packed) > 0 {
		*d = append(*d, int64(binary.BigEndian.Uint64(packed)))
		packed = packed[8:]
	}
	return nil
}
