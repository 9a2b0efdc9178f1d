DROP INDEX IF EXISTS executions_of_backfill;
DROP INDEX IF EXISTS executions_backfill;
DROP INDEX IF EXISTS executions_schedule;
{{if .Has "executions" "backfill_attempt"}}
ALTER TABLE executions DROP COLUMN backfill_attempt;
{{end}}
{{if .Has "executions" "backfill_id"}}
ALTER TABLE executions DROP COLUMN backfill_id;
{{end}}
{{if .Has "executions" "schedule_id"}}
ALTER TABLE executions DROP COLUMN schedule_id;
{{end}}
DROP TABLE IF EXISTS backfills;
DROP TABLE IF EXISTS schedules;
