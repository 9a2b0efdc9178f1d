package definition

import "unicode/utf8"

// filesDoc is what file sources and sinks say of their files.
type filesDoc struct {
	Format      Format         `json:"format" jsonschema:"required,enum=csv,enum=json,enum=parquet"`
	Compression Compression    `json:"compression" jsonschema:"enum=none,enum=gzip,enum=zstd,enum=snappy" jsonschema_description:"By file ending unless given; snappy is for parquet."`
	CSV         *csvOptionsDoc `json:"csv_options" jsonschema_description:"The dialect, for format csv."`
}

type csvOptionsDoc struct {
	Delimiter *string `json:"delimiter" jsonschema:"minLength=1" jsonschema_description:"One character."`
	Header    *bool   `json:"header" jsonschema_description:"Whether the first line holds the names of the columns."`
	QuoteChar *string `json:"quote_char" jsonschema:"minLength=1" jsonschema_description:"One character."`
}

// files gives the CSV dialect, complete, for format csv and nil for the others.
func (b *builder) files(doc filesDoc, at *path) *CSVOptions {
	if doc.Compression == CompressionSnappy && (doc.Format == FormatCSV || doc.Format == FormatJSON) {
		b.add(at.at("compression"), "snappy is for parquet; use none, gzip or zstd")
	}
	if doc.Format != FormatCSV {
		if doc.CSV != nil && doc.Format != "" {
			b.add(at.at("csv_options"), "is for format csv")
		}
		return nil
	}
	options := CSVOptions{Delimiter: ",", Header: true, QuoteChar: `"`}
	if doc.CSV == nil {
		return &options
	}
	at = at.at("csv_options")
	if doc.CSV.Header != nil {
		options.Header = *doc.CSV.Header
	}
	options.Delimiter = b.character(doc.CSV.Delimiter, options.Delimiter, at.at("delimiter"))
	options.QuoteChar = b.character(doc.CSV.QuoteChar, options.QuoteChar, at.at("quote_char"))
	if options.Delimiter == options.QuoteChar {
		b.add(at.at("quote_char"), "must differ from delimiter")
	}
	return &options
}

// character takes one character that can delimit or quote.
func (b *builder) character(given *string, fallback string, at *path) string {
	if given == nil || *given == "" {
		return fallback
	}
	if utf8.RuneCountInString(*given) != 1 {
		b.add(at, "%s must be one character", quote(*given))
		return fallback
	}
	if *given == "\n" || *given == "\r" {
		b.add(at, "must not be a line break")
		return fallback
	}
	return *given
}
