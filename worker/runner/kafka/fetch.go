package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

const (
	// fetchBytes bounds what one fetch brings; a single batch of records may be larger.
	fetchBytes = 8 << 20
	fetchWait  = 500 * time.Millisecond
	// maxMoves bounds how often a partition may move to another broker during a read.
	maxMoves = 5
)

// fetch reads a span's records and hands them on in their order. It asks for offsets itself, because that tells
// how far it has come even where the records at the end are aborted or compacted away.
func (r *reading) fetch(ctx context.Context, s span, each func(*kgo.Record) error) error {
	moves := 0
	for s.start < s.end {
		part, throttled, err := r.ask(ctx, s)
		if err == nil {
			err = kerr.ErrorForCode(part.ErrorCode)
		}
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange):
			return fault.Errorf(models.ClassSource,
				"the records from offset %d of partition %d of the topic %s were deleted while they were read", s.start, s.partition, r.src.Topic)
		case kerr.IsRetriable(err) && moves < maxMoves:
			moves++
			if err := r.findLeader(ctx, &s); err != nil {
				return err
			}
			continue
		case err != nil:
			return r.target.fault(ctx, err)
		}
		batch, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
			Offset: s.start, IsolationLevel: kgo.ReadCommitted(), Topic: r.src.Topic, Partition: s.partition,
		}, part, r.decompressor(), nil)
		if errors.Is(batch.Err, kgo.ErrMaxDecompress) {
			return poison(r.src.Topic, s.partition, next, "is in a batch that unpacks to more than %d MiB", maxBatch>>20)
		}
		if batch.Err != nil {
			f := poison(r.src.Topic, s.partition, next, "is in a batch that cannot be read")
			return fault.Because(f, batch.Err)
		}
		for _, record := range batch.Records {
			if record.Offset >= s.end {
				return nil
			}
			if err := each(record); err != nil {
				return err
			}
		}
		switch {
		case next > s.start:
			s.start = next
		case len(part.RecordBatches) > 0:
			return poison(r.src.Topic, s.partition, next, "is in a batch that the broker sent in part")
		case !throttled && stable(part) >= s.end:
			return nil // what was there is compacted away up to the end
		}
	}
	return nil
}

// stable is up to where the broker would have sent records.
func stable(part *kmsg.FetchResponseTopicPartition) int64 {
	if part.LastStableOffset >= 0 {
		return part.LastStableOffset
	}
	return part.HighWatermark
}

// ask sends one fetch to the partition's leader. throttled says that the broker held records back.
func (r *reading) ask(ctx context.Context, s span) (part *kmsg.FetchResponseTopicPartition, throttled bool, err error) {
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = int32(fetchWait.Milliseconds()), 1, fetchBytes
	request.IsolationLevel = 1 // committed records
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = r.src.Topic, r.topicID
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = s.partition, s.start, fetchBytes
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	answer, err := r.client.Broker(int(s.leader)).RetriableRequest(ctx, request)
	if err != nil {
		return nil, false, err
	}
	response, ok := answer.(*kmsg.FetchResponse)
	if !ok {
		return nil, false, errors.New("the broker gave another answer than was asked for")
	}
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return nil, false, err
	}
	for i := range response.Topics {
		for j := range response.Topics[i].Partitions {
			if p := &response.Topics[i].Partitions[j]; p.Partition == s.partition {
				return p, response.ThrottleMillis > 0, nil
			}
		}
	}
	return nil, false, errors.New("the broker's answer leaves the partition out")
}

// findLeader looks up which broker has a partition now.
func (r *reading) findLeader(ctx context.Context, s *span) error {
	pause := time.NewTimer(fetchWait)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return fault.Of(ctx.Err())
	case <-pause.C:
	}
	topics, err := r.admin.ListTopics(ctx, r.src.Topic)
	if err != nil {
		return r.target.fault(ctx, err)
	}
	if p, ok := topics[r.src.Topic].Partitions[s.partition]; ok && p.Leader >= 0 {
		s.leader = p.Leader
	}
	return nil
}

// decompressor is the client's, which knows the bound on what a batch unpacks to.
func (r *reading) decompressor() kgo.Decompressor {
	d, ok := r.client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return kgo.DefaultDecompressor()
	}
	return d
}
