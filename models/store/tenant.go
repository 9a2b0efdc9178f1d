package store

import (
	"cmp"
	"context"
	"errors"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// Tenant is one tenant's part of the store. What is not in it does not exist for its methods:
// another tenant's id is models.CodeNotFound like any id that was never given out.
type Tenant struct {
	store *Store
	id    models.TenantID
	// rehearsal says that nothing is written; see Rehearsal.
	rehearsal bool
}

// ForTenant opens a tenant's part. Where id is not a tenant's id in canonical form, every method of the
// Tenant fails with models.CodeInvalidTenant.
func (s *Store) ForTenant(id models.TenantID) *Tenant {
	if parsed, err := models.ParseTenantID(string(id)); err != nil || parsed != id {
		id = ""
	}
	return &Tenant{store: s, id: id}
}

// read and write are the only ways from a Tenant to the database, so that none of its methods can
// forget to look whether there is a tenant.
func (t *Tenant) read(ctx context.Context, fn func(db bun.IDB) error) error {
	if err := t.check(); err != nil {
		return err
	}
	return t.store.read(ctx, fn)
}

func (t *Tenant) write(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	if err := t.check(); err != nil {
		return err
	}
	if !t.rehearsal {
		return t.store.write(ctx, fn)
	}
	err := t.store.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		return cmp.Or(fn(ctx, tx), errRehearsed)
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

func (t *Tenant) check() error {
	if t.id == "" {
		return models.Errorf(models.CodeInvalidTenant, "no tenant is given")
	}
	return nil
}

// Sizes of a page.
const (
	defaultPageSize = 20
	maxPageSize     = 200
)

// window turns a page into LIMIT and OFFSET. The cost of a page grows with its offset, by the index entries
// passed over: about 0.2 ms for every thousand.
func window(p models.Page) (limit, offset int64) {
	limit = int64(p.Size)
	if limit <= 0 {
		limit = defaultPageSize
	}
	limit = min(limit, maxPageSize)
	return limit, int64(max(p.Number, 0)) * limit
}
