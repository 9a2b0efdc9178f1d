package role

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/worker"
)

func TestParseLocalRoots(t *testing.T) {
	const tenant = "11111111-2222-4333-8444-555555555555"
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	equals := filepath.Join(dir, "a=b")
	require.NoError(t, os.Mkdir(equals, 0o700))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(equals, link))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	roots, err := ParseLocalRoots([]string{dir, tenant + "=" + dir, equals, "11111111-2222-4333-8444-55555555555A=" + link})
	require.NoError(t, err)
	require.Equal(t, []worker.LocalRoot{
		{Dir: dir}, {Tenant: tenant, Dir: dir}, {Dir: equals},
		{Tenant: "11111111-2222-4333-8444-55555555555a", Dir: equals},
	}, roots)

	for text, says := range map[string]string{
		"acme=" + dir:        `"acme" is not a tenant's UUID`,
		dir + "/missing":     "there is no directory",
		file:                 "is not a directory",
		tenant + "=/missing": "there is no directory /missing",
	} {
		_, err := ParseLocalRoots([]string{text})
		require.ErrorContains(t, err, says, text)
	}
}

func TestTaskMemoryIsShared(t *testing.T) {
	require.Equal(t, int64(1<<30), (&WorkerOptions{TaskMemory: 1 << 30, TaskSlots: 1000}).taskMemory())
	require.Equal(t, int64(minTaskMemory), (&WorkerOptions{TaskSlots: 1_000_000}).taskMemory())
}
