package lineage

// IsAggregate reports whether a function counts as an aggregate.
func IsAggregate(name string) bool { return aggregateFunctions[name] }
