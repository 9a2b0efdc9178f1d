package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
)

// compressAt is the size, in bytes, from which a history is compressed.
const compressAt = 256 << 10

// recorded stands for the names of machines and processes in histories.
const recorded = "recorded"

// write replaces the histories in a directory.
func write(dir string, histories map[string]*historypb.History, forbidden []string) error {
	encoded := map[string][]byte{}
	for name, h := range histories {
		content, err := encode(h, forbidden)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		encoded[name+".json"] = content
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for name, content := range encoded {
		if len(content) > compressAt {
			var packed bytes.Buffer
			z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
			if err != nil {
				return err
			}
			if _, err := z.Write(content); err != nil {
				return err
			}
			if err := z.Close(); err != nil {
				return err
			}
			name, content = name+".gz", packed.Bytes()
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// encode is a history as JSON that says nothing of the machine it was made on, and holds none of the forbidden texts.
func encode(h *historypb.History, forbidden []string) ([]byte, error) {
	content, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	if err != nil {
		return nil, err
	}
	var doc any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		return nil, err
	}
	anonymize(doc)
	for text := range texts(doc) {
		for _, word := range forbidden {
			if strings.Contains(text, word) {
				return nil, fmt.Errorf("a history may not hold %q: %s", word, text)
			}
		}
	}
	return json.Marshal(doc)
}

// anonymize replaces identities, which are process@host, and the sticky task queues that are named after them.
func anonymize(doc any) {
	switch v := doc.(type) {
	case []any:
		for _, item := range v {
			anonymize(item)
		}
	case map[string]any:
		if v["kind"] == "TASK_QUEUE_KIND_STICKY" {
			v["name"] = recorded
		}
		for key, value := range v {
			if _, text := value.(string); text && key == "identity" {
				v[key] = recorded
			} else {
				anonymize(value)
			}
		}
	}
}

// texts are all strings of a document, payloads decoded.
func texts(doc any) iter.Seq[string] {
	return func(yield func(string) bool) {
		var walk func(key string, doc any) bool
		walk = func(key string, doc any) bool {
			switch v := doc.(type) {
			case []any:
				for _, item := range v {
					if !walk("", item) {
						return false
					}
				}
			case map[string]any:
				for key, value := range v {
					if !walk(key, value) {
						return false
					}
				}
			case string:
				if payload, err := base64.StdEncoding.DecodeString(v); err == nil && key == "data" {
					return yield(string(payload))
				}
				return yield(v)
			}
			return true
		}
		walk("", doc)
	}
}
