-- Rows are added before a request acts and completed when it is answered; nothing removes them.
CREATE TABLE IF NOT EXISTS audit (
    tenant_id  {{.Key}} NOT NULL,
    id         {{.Key}} NOT NULL,
    at         BIGINT   NOT NULL,
    subject    {{.Key}} NOT NULL,
    operation  TEXT     NOT NULL,
    method     TEXT     NOT NULL,
    path       TEXT     NOT NULL,
    resource   {{.Key}} NOT NULL,
    status     INTEGER  NOT NULL,
    request_id TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS audit_subject ON audit (tenant_id, subject, id);
CREATE INDEX IF NOT EXISTS audit_resource ON audit (tenant_id, resource, id);

-- What is left of the requests that a tenant may make, for all replicas of the API. They take from it by the portion.
CREATE TABLE IF NOT EXISTS rate_limits (
    tenant_id {{.Key}} NOT NULL,
    tokens    BIGINT   NOT NULL, -- thousandths of a request
    at        BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id)
);
