package models

// Cursor is how far an incremental source of a pipeline is published.
//
// An execution may publish to several systems, so no transaction of one of them can move a cursor together with
// all the data. Instead a cursor moves when an execution has published everything, in the transaction that makes
// it COMPLETED, to the end of the Batch its source has read. Until then the batch is known by the execution that read
// it first, and every sink publishes a batch once, by that name (see Batch). So a crash between the commits of two
// sinks, or between the last one and the end of the execution, leaves nothing to be lost or doubled:
//
//   - The same execution goes on. Its sinks find in their ledgers what they have published.
//   - An execution that ends FAILED or CANCELLED after one of its sinks has begun leaves its batch pending. The next
//     execution reads that batch again, to the same end, and publishes it by the same name: sinks that had
//     published it do nothing, the others catch up, and the cursor moves.
//   - Where no sink has begun nothing can be published, and the batch is forgotten.
//
// A re-run reads what is staged of a batch and publishes it by the batch's name, unless the batch has become
// stale: it was published, or forgotten and read anew by another execution.
//
// This needs executions of a pipeline that read on to run one after another, which definitions must grant.
type Cursor struct {
	// Seq counts how often the cursor has moved; 0 is a source of which nothing is published.
	Seq int64 `json:"seq"`
	// Value is what the connector says of the place; it means nothing to others. Empty where Seq is 0.
	Value string `json:"value,omitempty"`
	// Batch names the batch that is pending, and Pending is its end; both are empty where none is.
	Batch   string `json:"batch,omitempty"`
	Pending string `json:"pending,omitempty"`
}

// Batch is what an execution's source has read beyond its cursor.
type Batch struct {
	Source string
	// Name is the id of the execution that read it first.
	Name string
	// Base is the Seq of the cursor it begins at.
	Base int64
	// End is the Value that the cursor gets once it is published.
	End string
	// Stale says that the cursor has gone another way since: the batch must not be published. Only the store
	// sets it.
	Stale bool
}
