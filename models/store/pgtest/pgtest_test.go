package pgtest

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/driver/pgdriver"
)

// victimEnv makes the test binary a process that starts a server, tells where, and waits to be killed.
const victimEnv = "PGTEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		s, err := Start()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.dir, s.proc.cmd.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func TestServerAnswersAndLeavesNothingBehind(t *testing.T) {
	s, err := Start()
	require.NoError(t, err)
	pid := s.proc.cmd.Process.Pid

	t.Run("databases are separate and go with their test", func(t *testing.T) {
		dsn := s.NewDatabase(t)
		assert.NotEqual(t, dsn, s.NewDatabase(t))
		db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(dsn)))
		t.Cleanup(func() { _ = db.Close() })
		_, err := db.Exec("CREATE TABLE t (v INT)")
		require.NoError(t, err)
	})
	var left int
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(s.AdminDSN())))
	require.NoError(t, db.QueryRow("SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'").Scan(&left))
	assert.Zero(t, left)
	require.NoError(t, db.Close())

	wrong := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(s.AdminDSN()), pgdriver.WithPassword("wrong")))
	assert.ErrorContains(t, wrong.Ping(), "28P01", "a password is asked for")
	require.NoError(t, wrong.Close())

	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "stopping again does nothing")
	assertGone(t, s.dir, pid)
}

func TestRestartKeepsDataAndPort(t *testing.T) {
	s := start(t)
	port := s.Port
	require.NoError(t, s.Exec(context.Background(), "CREATE TABLE kept (v INT)"))
	require.NoError(t, s.Restart())
	assert.Equal(t, port, s.Port)
	require.NoError(t, s.Exec(context.Background(), "INSERT INTO kept VALUES (1)"))
}

func TestSocket(t *testing.T) {
	s := start(t)
	conn, err := net.Dial("unix", fmt.Sprintf("%s/.s.PGSQL.%d", s.SocketDir, s.Port))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestServerDiesWithAKilledTestProcess(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	victim := exec.Command(exe)
	victim.Env = append(os.Environ(), victimEnv+"=1")
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dir, pidText, ok := strings.Cut(strings.TrimSpace(line), " ")
	require.True(t, ok, line)
	pid, err := strconv.Atoi(pidText)
	require.NoError(t, err)

	require.NoError(t, victim.Process.Kill())
	_ = victim.Wait()
	assertGone(t, dir, pid)
}

// assertGone waits until the directory and the process are no more. A process nobody reaps yet
// counts as gone.
func assertGone(t *testing.T, dir string, pid int) {
	t.Helper()
	assert.Eventually(t, func() bool {
		_, errDir := os.Stat(dir)
		return os.IsNotExist(errDir) && (syscall.Kill(pid, 0) != nil || zombie(pid))
	}, 15*time.Second, 20*time.Millisecond)
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
