DROP TABLE IF EXISTS staging_uses;
DROP TABLE IF EXISTS retained;
DROP INDEX IF EXISTS executions_ended;
{{if .Has "executions" "rerun_of"}}
ALTER TABLE executions DROP COLUMN rerun_of;
{{end}}
