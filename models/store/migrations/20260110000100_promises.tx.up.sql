{{if not (.Has "executions" "sla_micros")}}
ALTER TABLE executions ADD COLUMN sla_micros BIGINT NOT NULL DEFAULT 0; -- how long it may take; 0 is as long as it likes
{{end}}
{{if not (.Has "executions" "sla_due")}}
ALTER TABLE executions ADD COLUMN sla_due BIGINT; -- when it will have taken longer; NULL once that was told
{{end}}
CREATE INDEX IF NOT EXISTS executions_sla_due ON executions (sla_due) WHERE run_slot IS NOT NULL AND sla_due IS NOT NULL;

{{if not (.Has "pipelines" "freshness_micros")}}
ALTER TABLE pipelines ADD COLUMN freshness_micros BIGINT NOT NULL DEFAULT 0; -- how old its last good run may be; 0 is any age
{{end}}
{{if not (.Has "pipelines" "active_since")}}
ALTER TABLE pipelines ADD COLUMN active_since BIGINT;
{{end}}
{{if not (.Has "pipelines" "fresh_until")}}
ALTER TABLE pipelines ADD COLUMN fresh_until BIGINT; -- NULL while it is not ACTIVE, and once it was told that it is stale
{{end}}
UPDATE pipelines SET active_since = updated_at WHERE status = 'ACTIVE' AND active_since IS NULL;
CREATE INDEX IF NOT EXISTS pipelines_fresh_until ON pipelines (fresh_until) WHERE fresh_until IS NOT NULL;
