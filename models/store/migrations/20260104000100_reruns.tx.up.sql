{{if not (.Has "executions" "rerun_of")}}
ALTER TABLE executions ADD COLUMN rerun_of {{.Key}} NOT NULL DEFAULT '';
{{end}}
-- The executions of all tenants by the time they ended, for what looks at those since it last did.
CREATE INDEX IF NOT EXISTS executions_ended ON executions (ended_at, id) WHERE run_slot IS NULL;

-- The executions that have ended and of which something may still be kept outside the database. A row goes when
-- nothing is, so the table stays as small as the retention is short.
CREATE TABLE IF NOT EXISTS retained (
    tenant_id    {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    ended_at     BIGINT   NOT NULL,
    state        INTEGER  NOT NULL, -- see retention.go
    PRIMARY KEY (tenant_id, execution_id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS retained_state ON retained (state, ended_at, execution_id);
INSERT INTO retained (tenant_id, execution_id, ended_at, state)
    SELECT tenant_id, id, ended_at, 0 FROM executions WHERE run_slot IS NULL AND ended_at IS NOT NULL
    ON CONFLICT DO NOTHING;

-- Which executions read what another has staged.
CREATE TABLE IF NOT EXISTS staging_uses (
    tenant_id    {{.Key}} NOT NULL,
    owner_id     {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    PRIMARY KEY (tenant_id, owner_id, execution_id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES executions (tenant_id, id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);
