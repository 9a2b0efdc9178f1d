package store

import "errors"

// errRehearsed rolls a transaction back that has done all it should have.
var errRehearsed = errors.New("it was only rehearsed")

// Rehearsal returns a tenant's part whose methods check and answer as always, and write nothing: every transaction
// is rolled back.
func Rehearsal(t *Tenant) *Tenant {
	rehearsing := *t
	rehearsing.rehearsal = true
	return &rehearsing
}
