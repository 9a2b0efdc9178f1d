DROP INDEX IF EXISTS pipelines_fresh_until;
{{if .Has "pipelines" "fresh_until"}}
ALTER TABLE pipelines DROP COLUMN fresh_until;
{{end}}
{{if .Has "pipelines" "active_since"}}
ALTER TABLE pipelines DROP COLUMN active_since;
{{end}}
{{if .Has "pipelines" "freshness_micros"}}
ALTER TABLE pipelines DROP COLUMN freshness_micros;
{{end}}
DROP INDEX IF EXISTS executions_sla_due;
{{if .Has "executions" "sla_due"}}
ALTER TABLE executions DROP COLUMN sla_due;
{{end}}
{{if .Has "executions" "sla_micros"}}
ALTER TABLE executions DROP COLUMN sla_micros;
{{end}}
