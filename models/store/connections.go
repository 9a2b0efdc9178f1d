package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type connectionRow struct {
	bun.BaseModel `bun:"table:connections,alias:cn"`

	TenantID            models.TenantID
	ID                  string
	Name                string
	Type                models.ConnectionType
	Host                string
	Port                int
	DatabaseName        string
	CredentialSecretRef string
	Properties          string
	CreatedBy           string
	CreatedAt           instant
}

func newConnectionRow(c models.Connection) *connectionRow {
	return &connectionRow{
		TenantID: c.Tenant, ID: c.ID, Name: c.Name, Type: c.Type, Host: c.Host, Port: c.Port, DatabaseName: c.Database,
		CredentialSecretRef: c.CredentialSecretRef, Properties: string(c.Properties),
		CreatedBy: c.CreatedBy, CreatedAt: at(c.CreatedAt),
	}
}

func (r *connectionRow) model() models.Connection {
	return models.Connection{
		ID: r.ID, Tenant: r.TenantID, Name: r.Name, Type: r.Type, Host: r.Host, Port: r.Port, Database: r.DatabaseName,
		CredentialSecretRef: r.CredentialSecretRef, Properties: rawJSON(r.Properties),
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time,
	}
}

// CreateConnection stores c, whose ID the caller has made. A connection with that ID already is
// returned as it is, so that a request may be repeated. Error: CodeNameTaken.
func (t *Tenant) CreateConnection(ctx context.Context, c models.Connection) (models.Connection, error) {
	if c.CreatedAt.IsZero() {
		c.CreatedAt = time.Now()
	}
	c.Tenant = t.id
	row := newConnectionRow(c)
	var created models.Connection
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil {
			return err
		}
		if inserted == 0 {
			created, err = t.connection(ctx, tx, c.ID)
			if models.CodeOf(err) == models.CodeNotFound {
				return nameTaken("connection", c.Name)
			}
			return err
		}
		created = row.model()
		changes := tally{}
		changes.connection(1)
		return t.add(ctx, tx, changes)
	})
	return created, err
}

// Connection returns a connection.
func (t *Tenant) Connection(ctx context.Context, id string) (c models.Connection, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		c, err = t.connection(ctx, db, id)
		return err
	})
	return c, err
}

func (t *Tenant) connection(ctx context.Context, db bun.IDB, id string) (models.Connection, error) {
	var row connectionRow
	err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx)
	return row.model(), notFound("connection", err)
}

// ConnectionsByRef returns the connections that refs name, by id or name, under the ref; what does
// not exist is absent.
func (t *Tenant) ConnectionsByRef(ctx context.Context, refs []string) (found map[string]models.Connection, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		found, err = t.connectionsByRef(ctx, db, refs)
		return err
	})
	return found, err
}

func (t *Tenant) connectionsByRef(ctx context.Context, db bun.IDB, refs []string) (map[string]models.Connection, error) {
	found := make(map[string]models.Connection, len(refs))
	if len(refs) == 0 {
		return found, nil
	}
	var rows []connectionRow
	err := db.NewSelect().Model(&rows).Where("tenant_id = ?", t.id).
		Where("id IN (?) OR name IN (?)", bun.List(refs), bun.List(refs)).Scan(ctx)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]models.Connection, len(rows))
	byID := make(map[string]models.Connection, len(rows))
	for _, row := range rows {
		byName[row.Name], byID[row.ID] = row.model(), row.model()
	}
	for _, ref := range refs {
		if c, ok := byID[ref]; ok {
			found[ref] = c
		} else if c, ok := byName[ref]; ok {
			found[ref] = c
		}
	}
	return found, nil
}

// Connections returns a page of the connections, newest first.
func (t *Tenant) Connections(ctx context.Context, p models.Page) (models.Paged[models.Connection], error) {
	var paged models.Paged[models.Connection]
	err := t.read(ctx, func(db bun.IDB) error {
		limit, offset := window(p)
		var rows []connectionRow
		err := db.NewSelect().Model(&rows).Where("tenant_id = ?", t.id).
			OrderExpr("id DESC").Limit(limit).Offset(offset).Scan(ctx)
		if err != nil {
			return err
		}
		paged.Items = make([]models.Connection, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		paged.Total, err = t.total(ctx, db, countConnections, everything)
		return err
	})
	return paged, err
}

// DeleteConnection removes a connection.
func (t *Tenant) DeleteConnection(ctx context.Context, id string) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		deleted, err := affected(tx.NewDelete().Model((*connectionRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, id).Exec(ctx))
		if err != nil {
			return err
		}
		if deleted == 0 {
			return models.NotFound("connection")
		}
		changes := tally{}
		changes.connection(-1)
		return t.add(ctx, tx, changes)
	})
}
