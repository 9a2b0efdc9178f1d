-- Plans somebody waits for, and what was found out about their steps. They go when the plan is answered, at the latest
-- by maintenance.
CREATE TABLE IF NOT EXISTS plans (
    tenant_id   {{.Key}} NOT NULL,
    id          {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL, -- '' for a pipeline that is not there yet
    definition  TEXT     NOT NULL,
    parameters  TEXT     NOT NULL,
    sample      INTEGER  NOT NULL,
    created_at  BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS plans_created ON plans (created_at);

CREATE TABLE IF NOT EXISTS plan_steps (
    tenant_id {{.Key}} NOT NULL,
    plan_id   {{.Key}} NOT NULL,
    name      {{.Key}} NOT NULL,
    output    TEXT     NOT NULL,
    finding   TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, plan_id, name),
    FOREIGN KEY (tenant_id, plan_id) REFERENCES plans (tenant_id, id)
);
