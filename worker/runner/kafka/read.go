package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Meter counts what is moved.
type Meter interface {
	AddIn(rows, bytes int64)
}

// Dest is where a topic's records go.
type Dest struct {
	Dir     string // an empty directory for Parquet files
	Scratch string // a directory for temporary files
	// ScratchBytes bounds what is written there; 0 leaves it open.
	ScratchBytes int64
	Meter        Meter
}

// Found is what a read brought.
type Found struct {
	Rows    int64
	Columns []task.Column
	Cursor  string
	// Unheard says why the consumer group was not told what is published, "" where it was, or there is none.
	Unheard string
}

// Read stages the records from the cursor to the end of its pending batch, or else to the last record that was
// committed when the read began.
func (t *Target) Read(ctx context.Context, e Engine, src *definition.KafkaSource, from *models.Cursor, to Dest) (*Found, error) {
	client, err := t.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	r := &reading{target: t, client: client, admin: kadm.NewClient(client), src: src, to: to}
	published, err := parsePlace(from.Value)
	if err != nil {
		return nil, err
	}
	pending, err := parsePlace(from.Pending)
	if err != nil {
		return nil, err
	}
	if from.Batch == "" {
		pending = nil
	}
	if err := r.findTopic(ctx, published, pending); err != nil {
		return nil, err
	}
	spans, err := r.spans(ctx, published, pending)
	if err != nil {
		return nil, err
	}
	found := &Found{Unheard: r.tellGroup(ctx, published)}
	next := &place{Topic: src.Topic, ID: r.id, Next: maps.Clone(published.Next)}
	for _, s := range spans {
		next.Next[s.partition] = s.end
	}
	if err := r.stage(ctx, e, spans, published.Columns, found); err != nil {
		return nil, err
	}
	next.Columns = found.Columns
	value, err := json.Marshal(next)
	found.Cursor = string(value)
	return found, err
}

// reading is one read of a topic.
type reading struct {
	target *Target
	client *kgo.Client
	admin  *kadm.Client
	src    *definition.KafkaSource
	to     Dest

	id         string // the topic's
	topicID    kadm.TopicID
	partitions []kadm.PartitionDetail
}

// findTopic looks the topic up and sees that the cursor is one of it.
func (r *reading) findTopic(ctx context.Context, places ...*place) error {
	topics, err := r.admin.ListTopics(ctx, r.src.Topic)
	if err != nil {
		return r.target.fault(ctx, err)
	}
	topic := topics[r.src.Topic]
	switch {
	case errors.Is(topic.Err, kerr.UnknownTopicOrPartition):
		return r.unknownTopic(ctx)
	case topic.Err != nil:
		return r.target.fault(ctx, topic.Err)
	}
	if topic.ID != (kadm.TopicID{}) {
		r.topicID, r.id = topic.ID, topic.ID.String()
	}
	r.partitions = topic.Partitions.Sorted()
	for _, p := range places {
		if p == nil {
			continue
		}
		if err := p.checkTopic(r.src.Topic, r.id); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) unknownTopic(ctx context.Context) error {
	f := fault.Errorf(models.ClassSource, "the connection %s: there is no topic %s", r.target.name, r.src.Topic)
	if all, err := r.admin.ListTopics(ctx); err == nil {
		if near := duckdb.Similar(r.src.Topic, all.Names()); len(near) > 0 {
			f.Message += "; did you mean " + near[0] + "?"
		}
	}
	return f
}

// spans decides what is read. The ends are fixed before the first record is, so that the batch is the same however
// often it is tried.
func (r *reading) spans(ctx context.Context, published, pending *place) ([]span, error) {
	ends, err := r.admin.ListCommittedOffsets(ctx, r.src.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, r.target.fault(ctx, err)
	}
	starts, err := r.admin.ListStartOffsets(ctx, r.src.Topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, r.target.fault(ctx, err)
	}
	first, err := r.first(ctx, published, starts, ends)
	if err != nil {
		return nil, err
	}
	var spans []span
	for _, p := range r.partitions {
		begin, _ := starts.Lookup(r.src.Topic, p.Partition)
		end, _ := ends.Lookup(r.src.Topic, p.Partition)
		s := span{partition: p.Partition, leader: p.Leader, start: first[p.Partition], end: end.Offset}
		if pending != nil {
			until, ok := pending.Next[p.Partition]
			if !ok {
				continue // the partition is younger than the batch
			}
			s.end = until
		}
		if known, ok := published.Next[p.Partition]; ok {
			s.start = known
		}
		if err := r.check(s, begin.Offset, end.Offset, pending != nil); err != nil {
			return nil, err
		}
		spans = append(spans, s)
	}
	if r.src.MaxRecords > 0 && pending == nil {
		limit(spans, int64(r.src.MaxRecords))
	}
	return spans, nil
}

// first is where each partition begins of which nothing is published. One that came later than the cursor is read
// from its beginning.
func (r *reading) first(ctx context.Context, published *place, starts, ends kadm.ListedOffsets) (map[int32]int64, error) {
	from := starts
	if published.Topic == "" {
		switch r.src.StartOffset {
		case "", definition.OffsetEarliest:
		case definition.OffsetLatest:
			from = ends
		default:
			at, err := time.Parse(time.RFC3339Nano, r.src.StartOffset)
			if err != nil {
				return nil, fault.Errorf(models.ClassInvalidDefinition, "start_offset %q is neither earliest nor latest nor a time", r.src.StartOffset)
			}
			from, err = r.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), r.src.Topic)
			if err == nil {
				err = from.Error()
			}
			if err != nil {
				return nil, r.target.fault(ctx, err)
			}
		}
	}
	first := map[int32]int64{}
	from.Each(func(o kadm.ListedOffset) {
		first[o.Partition] = o.Offset
		if end, ok := ends.Lookup(r.src.Topic, o.Partition); ok {
			first[o.Partition] = min(o.Offset, end.Offset) // records of open transactions do not count yet
		}
	})
	return first, nil
}

// check finds records that are lost to the source: taken away before they were published.
func (r *reading) check(s span, begin, end int64, again bool) error {
	switch {
	case s.start < begin && (s.end > s.start || !again):
		return fault.Errorf(models.ClassSource,
			"the records from offset %d up to %d of partition %d of the topic %s were deleted by its retention before they were published; keep records longer than the time between executions, and give the source another name to begin anew with what is left",
			s.start, begin, s.partition, r.src.Topic)
	case s.start > end || s.end > end:
		return fault.Errorf(models.ClassSource,
			"partition %d of the topic %s ends at offset %d, but offset %d is read already: records were lost there, or the topic was made again; give the source another name to begin anew",
			s.partition, r.src.Topic, end, max(s.start, s.end))
	}
	return nil
}

// tellGroup tells the consumer group what is published, for those who watch its lag. Nothing depends on it.
func (r *reading) tellGroup(ctx context.Context, published *place) string {
	if r.src.ConsumerGroup == "" || len(published.Next) == 0 {
		return ""
	}
	offsets := kadm.Offsets{}
	for _, partition := range slices.Sorted(maps.Keys(published.Next)) {
		offsets.AddOffset(r.src.Topic, partition, published.Next[partition], -1)
	}
	if err := r.admin.CommitAllOffsets(ctx, r.src.ConsumerGroup, offsets); err != nil {
		return err.Error()
	}
	return ""
}
