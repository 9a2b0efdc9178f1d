-- Every primary key and index begins with the tenant, but for those of work that is done for all tenants.
-- Times are microseconds since 1970 in UTC. JSON is text: nothing queries inside it, and PostgreSQL's
-- jsonb cannot hold the escape \u0000.

CREATE TABLE IF NOT EXISTS pipelines (
    tenant_id   {{.Key}} NOT NULL,
    id          {{.Key}} NOT NULL,
    name        TEXT     NOT NULL,
    label       TEXT     NOT NULL,
    description TEXT     NOT NULL,
    tags        TEXT     NOT NULL,
    status      TEXT     NOT NULL,
    version     INTEGER  NOT NULL,
    revision    BIGINT   NOT NULL,
    created_by  TEXT     NOT NULL,
    created_at  BIGINT   NOT NULL,
    updated_at  BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS pipelines_live_name ON pipelines (tenant_id, name) WHERE status <> 'ARCHIVED';
CREATE INDEX IF NOT EXISTS pipelines_live ON pipelines (tenant_id, id) WHERE status <> 'ARCHIVED';
CREATE INDEX IF NOT EXISTS pipelines_status ON pipelines (tenant_id, status, id);
CREATE INDEX IF NOT EXISTS pipelines_name ON pipelines (tenant_id, name, id);

CREATE TABLE IF NOT EXISTS pipeline_versions (
    tenant_id   {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL,
    number      INTEGER  NOT NULL,
    label       TEXT     NOT NULL,
    definition  TEXT     NOT NULL,
    created_by  TEXT     NOT NULL,
    created_at  BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, pipeline_id, number),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS pipeline_tags (
    tenant_id   {{.Key}} NOT NULL,
    tag         {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL,
    PRIMARY KEY (tenant_id, tag, pipeline_id),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS pipeline_tags_pipeline ON pipeline_tags (tenant_id, pipeline_id);

CREATE TABLE IF NOT EXISTS connections (
    tenant_id             {{.Key}} NOT NULL,
    id                    {{.Key}} NOT NULL,
    name                  TEXT     NOT NULL,
    type                  TEXT     NOT NULL,
    host                  TEXT     NOT NULL,
    port                  INTEGER  NOT NULL,
    database_name         TEXT     NOT NULL,
    credential_secret_ref TEXT     NOT NULL,
    properties            TEXT     NOT NULL,
    created_by            TEXT     NOT NULL,
    created_at            BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS connections_name ON connections (tenant_id, name);

CREATE TABLE IF NOT EXISTS executions (
    tenant_id        {{.Key}} NOT NULL,
    id               {{.Key}} NOT NULL,
    pipeline_id      {{.Key}} NOT NULL,
    pipeline_name    TEXT     NOT NULL,
    version          INTEGER  NOT NULL,
    status           TEXT     NOT NULL,
    status_reason    TEXT     NOT NULL,
    engine           TEXT     NOT NULL,
    priority         TEXT     NOT NULL,
    trigger_type     TEXT     NOT NULL,
    parameters       TEXT     NOT NULL,
    execution_date   BIGINT,
    last_run         BIGINT,
    estimated_micros BIGINT   NOT NULL,
    max_active_runs  INTEGER  NOT NULL,
    run_slot         INTEGER, -- from 0 below max_active_runs while open, NULL when terminal
    total_tasks      INTEGER  NOT NULL,
    completed_tasks  INTEGER  NOT NULL,
    current_task     TEXT     NOT NULL,
    rows_processed   BIGINT   NOT NULL,
    bytes_processed  BIGINT   NOT NULL,
    error            TEXT     NOT NULL,
    log_seq          BIGINT   NOT NULL,
    submitted_by     TEXT     NOT NULL,
    submitted_at     BIGINT   NOT NULL,
    started_at       BIGINT,
    ended_at         BIGINT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
-- At most one open execution a slot: this is what enforces max_active_runs.
CREATE UNIQUE INDEX IF NOT EXISTS executions_run_slot ON executions (tenant_id, pipeline_id, run_slot) WHERE run_slot IS NOT NULL;
-- The open executions of all tenants, for reconciliation. Workflow ids are execution ids, so they are unique.
CREATE UNIQUE INDEX IF NOT EXISTS executions_open ON executions (id) WHERE run_slot IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_pipeline ON executions (tenant_id, pipeline_id, id);
CREATE INDEX IF NOT EXISTS executions_status ON executions (tenant_id, status, id);
CREATE INDEX IF NOT EXISTS executions_pipeline_status ON executions (tenant_id, pipeline_id, status, id);
CREATE INDEX IF NOT EXISTS executions_completed ON executions (tenant_id, pipeline_id, engine, id) WHERE status = 'COMPLETED';

CREATE TABLE IF NOT EXISTS task_runs (
    tenant_id    {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    name         {{.Key}} NOT NULL,
    position     INTEGER  NOT NULL,
    kind         TEXT     NOT NULL,
    state        TEXT     NOT NULL,
    attempts     INTEGER  NOT NULL,
    rows_in      BIGINT   NOT NULL,
    rows_out     BIGINT   NOT NULL,
    bytes_in     BIGINT   NOT NULL,
    bytes_out    BIGINT   NOT NULL,
    started_at   BIGINT,
    ended_at     BIGINT,
    error        TEXT     NOT NULL,
    output       TEXT     NOT NULL,
    detail       TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, execution_id, name)
);
CREATE INDEX IF NOT EXISTS task_runs_running ON task_runs (tenant_id, execution_id, position) WHERE state = 'RUNNING';

CREATE TABLE IF NOT EXISTS execution_logs (
    tenant_id    {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    seq          BIGINT   NOT NULL,
    task         {{.Key}} NOT NULL,
    level        TEXT     NOT NULL,
    logged_at    BIGINT   NOT NULL,
    message      TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, execution_id, seq)
);
CREATE INDEX IF NOT EXISTS execution_logs_task ON execution_logs (tenant_id, execution_id, task, seq);

-- How many of each kind a tenant has, by scope (a pipeline's id, or '' for all) and status, so that a list's
-- total costs the same however long the list is.
CREATE TABLE IF NOT EXISTS counts (
    tenant_id {{.Key}} NOT NULL,
    kind      {{.Key}} NOT NULL,
    scope     {{.Key}} NOT NULL,
    status    {{.Key}} NOT NULL,
    n         BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, kind, scope, status)
);

CREATE TABLE IF NOT EXISTS idempotency_keys (
    tenant_id   {{.Key}} NOT NULL,
    key_hash    {{.Key}} NOT NULL, -- SHA-256, hexadecimal
    fingerprint {{.Key}} NOT NULL,
    resource_id {{.Key}} NOT NULL,
    claimed_at  BIGINT   NOT NULL,
    status      INTEGER  NOT NULL, -- of the answer; 0 while there is none
    header      TEXT     NOT NULL,
    body        {{.Bytes}},
    PRIMARY KEY (tenant_id, key_hash)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_claimed ON idempotency_keys (claimed_at);
