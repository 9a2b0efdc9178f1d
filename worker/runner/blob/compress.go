package blob

import (
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// endings maps compressions to the ending they give a file.
var endings = map[definition.Compression]string{
	definition.CompressionGzip:   ".gz",
	definition.CompressionZstd:   ".zst",
	definition.CompressionSnappy: ".sz",
}

// compressionOf is how a text file is compressed: as told, else by its ending.
func compressionOf(c definition.Compression, name string) definition.Compression {
	if c != definition.CompressionAuto {
		return c
	}
	for compression, ending := range endings {
		if strings.HasSuffix(name, ending) {
			return compression
		}
	}
	return definition.CompressionNone
}

// decompress reads through a compression. Snappy is the framing format.
func decompress(r io.Reader, c definition.Compression) (io.ReadCloser, error) {
	switch c {
	case definition.CompressionGzip:
		return gzip.NewReader(r)
	case definition.CompressionZstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case definition.CompressionSnappy:
		return io.NopCloser(s2.NewReader(r, s2.ReaderMaxBlockSize(64<<10))), nil
	default:
		return io.NopCloser(r), nil
	}
}

// snappyCompress writes from's content to the new file to, framed.
func snappyCompress(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer out.Close()
	w := s2.NewWriter(out, s2.WriterSnappyCompat(), s2.WriterConcurrency(1))
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}

// damaged is a file whose bytes are not what its name says.
func damaged(f file, err error) error {
	return fault.Because(fault.Errorf(models.ClassData, "%s cannot be read: its content is damaged or compressed in another way than said", f.Name), err)
}
