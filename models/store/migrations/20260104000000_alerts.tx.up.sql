CREATE TABLE IF NOT EXISTS alerts (
    tenant_id   {{.Key}} NOT NULL,
    id          {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL,
    rule        {{.Key}} NOT NULL,
    severity    TEXT     NOT NULL,
    status      TEXT     NOT NULL,
    message     TEXT     NOT NULL,
    occurrence  TEXT     NOT NULL, -- what broke the rule last
    n           BIGINT   NOT NULL, -- how often it has been broken since first_seen
    first_seen  BIGINT   NOT NULL,
    last_seen   BIGINT   NOT NULL,
    resolved_at BIGINT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
-- One alert a rule until it is resolved; the others are history.
CREATE UNIQUE INDEX IF NOT EXISTS alerts_unresolved ON alerts (tenant_id, pipeline_id, rule) WHERE status <> 'RESOLVED';
CREATE INDEX IF NOT EXISTS alerts_status ON alerts (tenant_id, status, id);
CREATE INDEX IF NOT EXISTS alerts_pipeline ON alerts (tenant_id, pipeline_id, id);
