{{if not (.Has "executions" "notify")}}
ALTER TABLE executions ADD COLUMN notify TEXT NOT NULL DEFAULT ''; -- JSON: the events each webhook of its definition is told of
{{end}}
-- What webhooks are to be told and no workflow does yet. A row is written with what it tells of and goes
-- when its workflow has started.
CREATE TABLE IF NOT EXISTS notifications (
    tenant_id    {{.Key}} NOT NULL,
    id           {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    pipeline_id  {{.Key}} NOT NULL,
    event        TEXT     NOT NULL,
    webhook      INTEGER  NOT NULL,
    gate         TEXT     NOT NULL,
    happened_at  BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS notifications_execution ON notifications (tenant_id, execution_id, id);
CREATE INDEX IF NOT EXISTS notifications_happened ON notifications (happened_at, id);
