package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// staged is a data set to be loaded: Parquet files of one schema.
type staged struct {
	files  []string
	fields []field
}

// openStaged reads the schema of the files.
func openStaged(files []string) (*staged, error) {
	s := &staged{files: files}
	if len(files) == 0 {
		return s, nil
	}
	err := withParquet(files[0], func(r *pqarrow.FileReader) error {
		arrowSchema, err := r.Schema()
		if err != nil {
			return err
		}
		root := r.ParquetReader().MetaData().Schema.Root()
		for i, f := range arrowSchema.Fields() {
			if err := checkIdentifier(f.Name); err != nil {
				return err
			}
			made, err := newField(f.Name, f.Type, markOf(root.Field(i)))
			if err != nil {
				return err
			}
			s.fields = append(s.fields, made)
		}
		return nil
	})
	return s, err
}

func markOf(node schema.Node) logical {
	switch node.LogicalType().(type) {
	case schema.JSONLogicalType:
		return logicalJSON
	case schema.EnumLogicalType, schema.StringLogicalType:
		return logicalText
	}
	return logicalNone
}

// withParquet opens a file and hands it to use. A file that makes the reader panic is a damaged one.
func withParquet(path string, use func(*pqarrow.FileReader) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged(fmt.Errorf("%v", r))
		}
	}()
	opened, err := os.Open(path)
	if err != nil {
		return fault.Internal("read its input", err)
	}
	defer opened.Close()
	properties := parquet.NewReaderProperties(memory.DefaultAllocator)
	properties.BufferedStreamEnabled = true
	reader, err := file.NewParquetReader(opened, file.WithReadProps(properties))
	if err != nil {
		return damaged(err)
	}
	defer reader.Close()
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: batchFor(reader.MetaData())}, memory.DefaultAllocator)
	if err != nil {
		return damaged(err)
	}
	return use(arrowReader)
}

func damaged(err error) error {
	return fault.Because(fault.Errorf(models.ClassData, "the staged data are damaged"), err)
}

// batchFor makes batches of some megabytes, however wide the rows are.
func batchFor(meta *metadata.FileMetaData) int64 {
	const least, most, bytes = 16, 16 << 10, 8 << 20
	widest := int64(1)
	for i := range meta.NumRowGroups() {
		if group := meta.RowGroup(i); group.NumRows() > 0 {
			widest = max(widest, group.TotalByteSize()/group.NumRows())
		}
	}
	return min(max(bytes/widest, least), most)
}

// copyReader gives the data set in the binary form of COPY. Encoding runs ahead of sending by a buffer or two.
type copyReader struct {
	chunks chan []byte
	free   chan []byte
	rest   []byte
	last   []byte
	err    error
	cancel context.CancelFunc
	meter  Meter
	rows   int64
}

// stream starts to encode. The reader must be closed.
func (s *staged) stream(ctx context.Context, meter Meter) *copyReader {
	ctx, cancel := context.WithCancel(ctx)
	r := &copyReader{chunks: make(chan []byte, 1), free: make(chan []byte, 3), cancel: cancel, meter: meter}
	go func() {
		defer close(r.chunks)
		r.err = r.encode(ctx, s)
	}()
	return r
}

func (r *copyReader) encode(ctx context.Context, s *staged) error {
	header := append([]byte(nil), copySignature...)
	if err := r.push(ctx, append(header, 0, 0, 0, 0, 0, 0, 0, 0)); err != nil {
		return err
	}
	for _, path := range s.files {
		err := withParquet(path, func(parquetReader *pqarrow.FileReader) error {
			batches, err := parquetReader.GetRecordReader(ctx, nil, nil)
			if err != nil {
				return damaged(err)
			}
			defer batches.Release()
			for batches.Next() {
				batch := batches.RecordBatch()
				chunk, err := encodeBatch(r.buffer(), s.fields, batch, r.rows)
				if err != nil {
					return err
				}
				r.rows += batch.NumRows()
				r.meter.AddIn(batch.NumRows(), 0)
				if err := r.push(ctx, chunk); err != nil {
					return err
				}
			}
			if err := batches.Err(); err != nil && !errors.Is(err, io.EOF) {
				return damaged(err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.push(ctx, []byte{0xff, 0xff})
}

func (r *copyReader) buffer() []byte {
	select {
	case b := <-r.free:
		return b[:0]
	default:
		return nil
	}
}

func (r *copyReader) push(ctx context.Context, chunk []byte) error {
	select {
	case r.chunks <- chunk:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read implements io.Reader for COPY.
func (r *copyReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.last != nil {
			select {
			case r.free <- r.last:
			default:
			}
			r.last = nil
		}
		chunk, ok := <-r.chunks
		if !ok {
			if r.err != nil {
				return 0, r.err
			}
			return 0, io.EOF
		}
		r.rest, r.last = chunk, chunk
	}
	n := copy(p, r.rest)
	r.meter.AddOut(0, int64(n))
	r.rest = r.rest[n:]
	return n, nil
}

// close ends the encoding and returns the failure it met, if any.
func (r *copyReader) close() error {
	r.cancel()
	for range r.chunks { // until the encoder has seen it
	}
	if r.err != nil && !errors.Is(r.err, context.Canceled) {
		return r.err
	}
	return nil
}
