-- A schedule is the truth; its Temporal Schedule is made after it. synced is the revision that Temporal has.
CREATE TABLE IF NOT EXISTS schedules (
    tenant_id      {{.Key}} NOT NULL,
    id             {{.Key}} NOT NULL,
    pipeline_id    {{.Key}} NOT NULL,
    cron           TEXT     NOT NULL,
    timezone       TEXT     NOT NULL,
    parameters     TEXT     NOT NULL,
    enabled        BOOLEAN  NOT NULL,
    note           TEXT     NOT NULL,
    overlap        TEXT     NOT NULL,
    catchup_micros BIGINT   NOT NULL,
    jitter_micros  BIGINT   NOT NULL,
    skip_dates     TEXT     NOT NULL,
    revision       BIGINT   NOT NULL,
    synced         BIGINT   NOT NULL,
    deleted        BOOLEAN  NOT NULL,
    next_due       BIGINT,            -- the first due time of which it is not known what became of it; NULL while disabled
    recent         TEXT     NOT NULL, -- JSON of the last due times
    created_by     TEXT     NOT NULL,
    created_at     BIGINT   NOT NULL,
    updated_at     BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS schedules_live ON schedules (tenant_id, id) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS schedules_pipeline ON schedules (tenant_id, pipeline_id, id) WHERE NOT deleted;
-- Those of all tenants that Temporal does not know as they are, and those that may have missed a due time.
CREATE INDEX IF NOT EXISTS schedules_unsynced ON schedules (updated_at) WHERE synced <> revision;
CREATE INDEX IF NOT EXISTS schedules_due ON schedules (next_due) WHERE next_due IS NOT NULL;

CREATE TABLE IF NOT EXISTS backfills (
    tenant_id     {{.Key}} NOT NULL,
    id            {{.Key}} NOT NULL,
    pipeline_id   {{.Key}} NOT NULL,
    schedule_id   {{.Key}} NOT NULL,
    cron          TEXT     NOT NULL,
    timezone      TEXT     NOT NULL,
    skip_dates    TEXT     NOT NULL,
    range_from    BIGINT   NOT NULL,
    range_to      BIGINT   NOT NULL,
    version       INTEGER  NOT NULL,
    parameters    TEXT     NOT NULL,
    priority      TEXT     NOT NULL,
    max_parallel  INTEGER  NOT NULL,
    status        TEXT     NOT NULL,
    status_reason TEXT     NOT NULL,
    total         INTEGER  NOT NULL,
    completed     INTEGER  NOT NULL,
    failed        INTEGER  NOT NULL,
    cancelled     INTEGER  NOT NULL,
    running       INTEGER  NOT NULL,
    attempt       INTEGER  NOT NULL,
    submitted_by  TEXT     NOT NULL,
    submitted_at  BIGINT   NOT NULL,
    ended_at      BIGINT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS backfills_pipeline ON backfills (tenant_id, pipeline_id, id);
CREATE INDEX IF NOT EXISTS backfills_status ON backfills (tenant_id, status, id);
CREATE INDEX IF NOT EXISTS backfills_pipeline_status ON backfills (tenant_id, pipeline_id, status, id);
-- The open ones of all tenants, for reconciliation.
CREATE INDEX IF NOT EXISTS backfills_open ON backfills (id) WHERE ended_at IS NULL;

{{if not (.Has "executions" "schedule_id")}}
ALTER TABLE executions ADD COLUMN schedule_id {{.Key}} NOT NULL DEFAULT '';
{{end}}
{{if not (.Has "executions" "backfill_id")}}
ALTER TABLE executions ADD COLUMN backfill_id {{.Key}} NOT NULL DEFAULT '';
{{end}}
{{if not (.Has "executions" "backfill_attempt")}}
ALTER TABLE executions ADD COLUMN backfill_attempt INTEGER NOT NULL DEFAULT 0;
{{end}}
CREATE INDEX IF NOT EXISTS executions_schedule ON executions (tenant_id, schedule_id, id) WHERE schedule_id <> '';
-- A backfill executes a due time once an attempt.
CREATE UNIQUE INDEX IF NOT EXISTS executions_backfill ON executions (tenant_id, backfill_id, execution_date, backfill_attempt) WHERE backfill_id <> '';
CREATE INDEX IF NOT EXISTS executions_of_backfill ON executions (tenant_id, backfill_id, id) WHERE backfill_id <> '';
