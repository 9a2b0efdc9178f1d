package postgres

import (
	"context"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/matih/pipeline-service/worker/runner/fault"
)

// parquetWriter writes record batches as row groups of a file, in a goroutine of its own so that
// decoding and encoding share the cores.
type parquetWriter struct {
	batches chan arrow.RecordBatch
	done    chan struct{}
	err     error
}

func newParquetWriter(path string, schema *arrow.Schema) (*parquetWriter, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, fault.Internal("write its output", err)
	}
	properties := parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Lz4Raw),
		parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithMaxRowGroupLength(batchRows),
		parquet.WithDictionaryDefault(false),
		parquet.WithStats(true),
	)
	out, err := pqarrow.NewFileWriter(schema, file, properties, pqarrow.NewArrowWriterProperties())
	if err != nil {
		_ = file.Close()
		return nil, fault.Internal("write its output", err)
	}
	w := &parquetWriter{batches: make(chan arrow.RecordBatch, 1), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for batch := range w.batches {
			if w.err == nil {
				w.err = out.Write(batch)
			}
			batch.Release()
		}
		if err := out.Close(); w.err == nil {
			w.err = err
		}
	}()
	return w, nil
}

// write hands a batch over; what becomes of it close tells.
func (w *parquetWriter) write(ctx context.Context, batch arrow.RecordBatch) error {
	select {
	case w.batches <- batch:
		return nil
	case <-ctx.Done():
		batch.Release()
		return ctx.Err()
	}
}

// close ends the file and waits for it.
func (w *parquetWriter) close() error {
	close(w.batches)
	<-w.done
	if w.err != nil {
		return fault.Internal("write its output", w.err)
	}
	return nil
}
