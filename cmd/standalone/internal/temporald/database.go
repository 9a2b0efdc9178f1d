package temporald

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// makeDatabase makes the file with Temporal's tables where there is none. It is made aside and renamed, so that a
// process killed meanwhile leaves no half-made database behind.
func makeDatabase(ctx context.Context, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("temporal database: %w", err)
	}
	if err := makeTables(ctx, draft); err != nil {
		return fmt.Errorf("temporal database: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("temporal database: %w", err)
	}
	return nil
}

func makeTables(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect once committed
	if err := schema.SetupSchemaOnDB(schemaTx{tx: tx, ctx: ctx}); err != nil {
		return err
	}
	return tx.Commit()
}

// schemaTx lets the schema be set up in one transaction. Of the interface it has only what that uses.
type schemaTx struct {
	sqlplugin.AdminDB
	tx  *sql.Tx
	ctx context.Context
}

func (s schemaTx) Exec(statement string, args ...any) error {
	_, err := s.tx.ExecContext(s.ctx, statement, args...)
	return err
}

// makeNamespace makes the namespace where there is none: with its search attributes in the first write nobody
// has to wait until every cache knows them.
func makeNamespace(conf *config.Config, c Config) error {
	attributes := make(map[string]enums.IndexedValueType, len(c.SearchAttributes))
	for _, name := range c.SearchAttributes {
		attributes[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	namespace, err := schema.NewNamespaceConfig(clusterName, Namespace, false, attributes)
	if err != nil {
		return fmt.Errorf("temporal namespace: %w", err)
	}
	namespace.Detail.Config.Retention = durationpb.New(c.Retention)
	if err := schema.CreateNamespaces(conf.Persistence.DataStores[storeName].SQL, namespace); err != nil {
		return fmt.Errorf("temporal namespace: %w", err)
	}
	return nil
}
