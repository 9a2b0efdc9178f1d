package cost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// Price is an amount in trillionths of a dollar (1e-12 USD).
type Price int64

// Rate is a version of the prices, which holds for executions that start from a time on. A GB is 10⁹ bytes.
type Rate struct {
	Version        string
	ValidFrom      time.Time
	CPUSecond      Price // of one processor
	MemoryGBSecond Price
	StorageGBHour  Price
	NetworkGB      Price
}

// DefaultRate holds where no other does. It is about what public clouds ask for containers, disk space and traffic
// between zones.
var DefaultRate = Rate{
	Version:        "default-1",
	CPUSecond:      11_244_000, // 0.04048 USD an hour
	MemoryGBSecond: 1_235_000,  // 0.00445 USD an hour
	StorageGBHour:  109_589_000,
	NetworkGB:      10_000_000_000,
}

// Rates are versions of the prices. The zero value is DefaultRate alone.
type Rates struct {
	versions []Rate // the earliest first
}

// At returns the version that holds for an execution that starts at a time.
func (r Rates) At(start time.Time) Rate {
	for _, v := range slices.Backward(r.versions) {
		if !start.Before(v.ValidFrom) {
			return v
		}
	}
	return DefaultRate
}

// ratesDoc is a file of rates. Amounts are text, so that none goes through floating point.
type ratesDoc struct {
	Versions []rateDoc `yaml:"versions"`
}

type rateDoc struct {
	Version        string  `yaml:"version"`
	ValidFrom      string  `yaml:"valid_from"`
	CPUSecond      *string `yaml:"cpu_second"`
	MemoryGBSecond *string `yaml:"memory_gb_second"`
	StorageGBHour  *string `yaml:"storage_gb_hour"`
	NetworkGB      *string `yaml:"network_gb"`
}

// ParseRates reads a YAML document {versions: [{version, valid_from, cpu_second, memory_gb_second, storage_gb_hour,
// network_gb}]}. Its error names all mistakes with their locations.
func ParseRates(doc []byte) (Rates, error) {
	var d ratesDoc
	decoder := yaml.NewDecoder(bytes.NewReader(doc))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return Rates{}, err
	}
	if len(d.Versions) == 0 {
		return Rates{}, errors.New("versions: must not be empty")
	}
	var r Rates
	var mistakes []error
	for i, v := range d.Versions {
		rate, errs := v.rate()
		if i > 0 && !rate.ValidFrom.After(r.versions[i-1].ValidFrom) && len(errs) == 0 {
			errs = append(errs, errors.New("valid_from: must be after that of the version before"))
		}
		if slices.ContainsFunc(r.versions, func(o Rate) bool { return o.Version == rate.Version }) {
			errs = append(errs, fmt.Errorf("version: %q is named twice", rate.Version))
		}
		for _, err := range errs {
			mistakes = append(mistakes, fmt.Errorf("versions[%d].%w", i, err))
		}
		r.versions = append(r.versions, rate)
	}
	return r, errors.Join(mistakes...)
}

func (d *rateDoc) rate() (Rate, []error) {
	var mistakes []error
	r := Rate{Version: d.Version}
	switch d.Version {
	case "":
		mistakes = append(mistakes, errors.New("version: is required"))
	case DefaultRate.Version:
		mistakes = append(mistakes, fmt.Errorf("version: %q is the built-in one", d.Version))
	}
	var err error
	if r.ValidFrom, err = parseDay(d.ValidFrom); err != nil {
		mistakes = append(mistakes, fmt.Errorf("valid_from: %w", err))
	}
	for _, price := range []struct {
		name string
		text *string
		into *Price
	}{
		{"cpu_second", d.CPUSecond, &r.CPUSecond}, {"memory_gb_second", d.MemoryGBSecond, &r.MemoryGBSecond},
		{"storage_gb_hour", d.StorageGBHour, &r.StorageGBHour}, {"network_gb", d.NetworkGB, &r.NetworkGB},
	} {
		if price.text == nil {
			mistakes = append(mistakes, fmt.Errorf("%s: is required; 0 is free", price.name))
			continue
		}
		n, err := parseDecimal(*price.text, picoDigits)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", price.name, err))
		}
		*price.into = Price(n)
	}
	return r, mistakes
}

// parseDay reads an RFC 3339 date, which is its midnight in UTC, or date and time.
func parseDay(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a date such as 2026-01-31", text)
}
