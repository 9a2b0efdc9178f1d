package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
)

// wallVariable makes the test binary a process behind the walls it names that runs SQL from its input.
const wallVariable = "TASK_RUNNER_TEST_WALL"

func TestMain(m *testing.M) {
	if wall := os.Getenv(wallVariable); wall != "" {
		os.Exit(behindWall(wall))
	}
	os.Exit(m.Run())
}

// wallRequest is what a process behind a wall gets.
type wallRequest struct {
	Inside     string // the directory it may use
	Statements []string
}

// wallAnswer is the first value a statement returned, or its error.
type wallAnswer struct{ Value, Error string }

func behindWall(wall string) int {
	ctx := context.Background()
	var req wallRequest
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		panic(err)
	}
	engine, err := duckdb.Open(ctx)
	if err != nil {
		panic(err)
	}
	j := &job{
		spec:   &task.Spec{Scratch: req.Inside, Limits: task.Limits{MemoryBytes: 256 << 20, Threads: 2}},
		engine: engine, out: &emitter{out: os.Stderr},
		walls: walls{duckdb: wall == "duckdb", landlock: wall == "landlock"},
	}
	if err := j.enclose(sandbox.Policy{}); err != nil {
		panic(err)
	}
	if _, err := j.configure(ctx); err != nil {
		panic(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, statement := range req.Statements {
		var answer wallAnswer
		err := engine.QueryEach(ctx, statement, func(scan func(...any) error) error {
			return scan(&answer.Value)
		})
		if err != nil {
			answer.Error = err.Error()
		}
		if err := encoder.Encode(answer); err != nil {
			panic(err)
		}
	}
	return 0
}

func runBehindWall(t *testing.T, wall, inside string, statements []string) []wallAnswer {
	t.Helper()
	request, err := json.Marshal(wallRequest{Inside: inside, Statements: statements})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{wallVariable + "=" + wall, "CANARY=canary-in-the-environment", "HOME=" + filepath.Dir(inside)}
	cmd.Stdin = strings.NewReader(string(request))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []wallAnswer
	scanner := bufio.NewScanner(strings.NewReader(string(out)))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var a wallAnswer
		if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(statements) {
		t.Fatalf("%d answers to %d statements\n%s", len(answers), len(statements), stderr.String())
	}
	return answers
}

const canary = "canary-outside-the-sandbox"

// TestEachWallAlone tries to get out of the sandbox with one wall up and the other down.
func TestEachWallAlone(t *testing.T) {
	for _, wall := range []string{"duckdb", "landlock"} {
		t.Run(wall, func(t *testing.T) {
			top := t.TempDir()
			inside, outside := filepath.Join(top, "inside"), filepath.Join(top, "outside")
			for _, dir := range []string{inside, outside} {
				if err := os.Mkdir(dir, 0o750); err != nil {
					t.Fatal(err)
				}
			}
			secret := filepath.Join(outside, "secret.csv")
			if err := os.WriteFile(secret, []byte("a\n"+canary+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, filepath.Join(inside, "way-out")); err != nil {
				t.Fatal(err)
			}
			attacks := attacks(inside, outside)
			for i, answer := range runBehindWall(t, wall, inside, attacks) {
				if strings.Contains(answer.Value, "canary") || strings.Contains(answer.Value, "root:") {
					t.Errorf("%s\n returned %q", attacks[i], answer.Value)
				}
				if answer.Error == "" {
					t.Errorf("%s\n was not refused, it returned %q", attacks[i], answer.Value)
				}
			}
			left, err := os.ReadDir(outside)
			if err != nil || len(left) != 1 {
				t.Errorf("outside there are now %v (%v)", left, err)
			}
			if content, err := os.ReadFile(secret); err != nil || !strings.Contains(string(content), canary) {
				t.Errorf("the file outside was changed: %q (%v)", content, err)
			}
		})
	}
}

func attacks(inside, outside string) []string {
	secret := filepath.Join(outside, "secret.csv")
	list := []string{
		"SELECT content FROM read_text('/etc/passwd')",
		"SELECT content::VARCHAR FROM read_blob('/etc/passwd')",
		"SELECT content FROM read_text('/proc/self/environ')",
		"SELECT content FROM read_text('/proc/self/maps')",
		"SELECT * FROM read_csv('/etc/passwd', header = false, delim = '|', columns = {'l': 'VARCHAR'})",
		"SELECT * FROM read_csv('%[1]s')",
		"SELECT * FROM '%[1]s'",
		"SELECT * FROM read_json('%[1]s')",
		"SELECT * FROM read_parquet('%[1]s')",
		"SELECT Prompt::VARCHAR FROM sniff_csv('%[1]s')",
		"SELECT content FROM read_text('%[2]s/../outside/secret.csv')",
		"SELECT content FROM read_text('%[2]s/way-out/secret.csv')",
		"SELECT content FROM read_text('file:%[1]s')",
		"SELECT content FROM read_text('file://%[1]s')",
		"COPY (SELECT 1) TO '%[3]s/written.csv'",
		"COPY (SELECT 1) TO '%[2]s/../outside/written.parquet'",
		"COPY (SELECT 1) TO '%[2]s/way-out/written.csv'",
		"COPY (SELECT 1) TO '%[1]s'",
		"CREATE TABLE stolen AS SELECT * FROM '%[1]s'",
		"ATTACH '%[3]s/new.db' AS other",
		"EXPORT DATABASE '%[3]s/exported'",
		"IMPORT DATABASE '%[3]s'",
		"INSTALL httpfs",
		"LOAD httpfs",
		"LOAD '%[3]s/evil.duckdb_extension'",
		"SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
		"SELECT * FROM read_parquet('s3://bucket/x.parquet')",
		"CREATE PERSISTENT SECRET s (TYPE s3)",
		"SELECT getenv('CANARY')",
	}
	for i, s := range list {
		if strings.Contains(s, "%[") {
			// The unused arguments would be reported, so each is named.
			list[i] = strings.NewReplacer("%[1]s", secret, "%[2]s", inside, "%[3]s", outside).Replace(s)
		}
	}
	return list
}

// TestListingFindsNothingOutside: glob answers with nothing instead of an error behind Landlock.
func TestListingFindsNothingOutside(t *testing.T) {
	for _, wall := range []string{"duckdb", "landlock"} {
		top := t.TempDir()
		inside := filepath.Join(top, "inside")
		if err := os.Mkdir(inside, 0o750); err != nil {
			t.Fatal(err)
		}
		for _, a := range runBehindWall(t, wall, inside, []string{
			fmt.Sprintf("SELECT file FROM glob('%s/*')", top), "SELECT file FROM glob('/etc/*')", "SELECT file FROM glob('/proc/*/environ')",
		}) {
			if a.Value != "" {
				t.Errorf("%s: listed %q", wall, a.Value)
			}
		}
	}
}

// TestDuckDBAloneRefuses what Landlock does not see.
func TestDuckDBAloneRefuses(t *testing.T) {
	statements := []string{
		"SET enable_external_access = true",
		"SET allowed_directories = ['/']",
		"SET lock_configuration = false",
		"SET memory_limit = '100GB'",
		"SET threads = 64",
		"SET temp_directory = '/tmp'",
		"PRAGMA memory_limit = '100GB'",
		"RESET memory_limit",
		"SET GLOBAL max_temp_directory_size = '1TB'",
		"SET SESSION allow_community_extensions = true",
		"SET custom_extension_repository = 'http://127.0.0.1:1'",
		// What the process inherited is open to Landlock.
		"SELECT * FROM read_csv('/dev/stdin')",
		"SELECT * FROM read_csv('/proc/self/fd/0')",
	}
	for i, a := range runBehindWall(t, "duckdb", t.TempDir(), statements) {
		if a.Error == "" {
			t.Errorf("%s was not refused", statements[i])
		}
	}
}
