package definition

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIncrementalOf(t *testing.T) {
	d := parseYAML(t, `
sources:
  orders: {type: jdbc, connection: db, table: orders, mode: incremental, watermark_column: at}
  events: {type: kafka, connection: k, topic: events, format: json}
  products: {type: jdbc, connection: db, table: products}
transformations:
  - {name: both, type: sql_transform, inputs: [priced, events], sql: select 1}
  - {name: priced, type: lookup_join, input: orders, lookup: products, keys: [id]}
sinks:
  all: {type: jdbc, connection: db, table: a, input: both}
  some: {type: jdbc, connection: db, table: b, input: priced}
  none: {type: jdbc, connection: db, table: c, input: products}
`)
	assert.Equal(t, []string{"orders", "events"}, d.IncrementalOf("all"))
	assert.Equal(t, []string{"orders"}, d.IncrementalOf("some"))
	assert.Empty(t, d.IncrementalOf("none"))
	assert.Equal(t, []string{"events"}, d.IncrementalOf("events"))
}
