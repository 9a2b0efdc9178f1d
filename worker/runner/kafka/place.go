package kafka

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// place is what the cursor of a topic holds. The offsets kept here are the truth: those that the consumer group is
// told serve to watch its lag and are never read.
type place struct {
	Topic string `json:"topic"`
	// ID tells a topic from another that was made later under its name.
	ID string `json:"id,omitempty"`
	// Next is the first offset that is not read, by partition.
	Next map[int32]int64 `json:"next"`
	// Columns are those of the records so far, so that a batch has them even where its records do not.
	Columns []task.Column `json:"columns,omitempty"`
}

func parsePlace(text string) (*place, error) {
	p := &place{Next: map[int32]int64{}}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fault.Internal("read its cursor", err)
	}
	return p, nil
}

// span is what is read of one partition: the offsets from Start up to, but not, End.
type span struct {
	partition  int32
	leader     int32
	start, end int64
}

// limit shortens spans so that they hold no more offsets than most, taking from the longest first.
func limit(spans []span, most int64) {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	length := func(i int) int64 { return spans[i].end - spans[i].start }
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case length(a) < length(b):
			return -1
		case length(a) > length(b):
			return 1
		}
		return 0
	})
	for n, i := range order {
		share := most / int64(len(order)-n)
		if length(i) > share {
			spans[i].end = spans[i].start + share
		}
		most -= length(i)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// checkTopic sees that a cursor is one of the topic.
func (p *place) checkTopic(topic, id string) error {
	switch {
	case p.Topic == "":
		return nil
	case p.Topic != topic:
		return fault.Errorf(models.ClassInvalidDefinition,
			"what is published of this source was of the topic %s, not %s: give the source another name to begin anew", p.Topic, topic)
	case p.ID != "" && id != "" && p.ID != id:
		return fault.Errorf(models.ClassSource,
			"the topic %s was deleted and made again since it was last read: give the source another name to begin anew", topic)
	}
	return nil
}
