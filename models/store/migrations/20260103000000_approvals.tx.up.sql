-- An approval's id is that of its workflow: the execution's id and the gate's name are part of it.
CREATE TABLE IF NOT EXISTS approvals (
    tenant_id           {{.Key}} NOT NULL,
    id                  {{.Key}} NOT NULL,
    execution_id        {{.Key}} NOT NULL,
    pipeline_id         {{.Key}} NOT NULL,
    gate                {{.Key}} NOT NULL,
    status              TEXT     NOT NULL,
    reason              TEXT     NOT NULL,
    required            INTEGER  NOT NULL,
    approvals           INTEGER  NOT NULL,
    steward_groups      TEXT     NOT NULL,
    allow_self_approval BOOLEAN  NOT NULL,
    submitted_by        TEXT     NOT NULL,
    requested_at        BIGINT   NOT NULL,
    deadline            BIGINT   NOT NULL,
    reminded_at         BIGINT,
    closed_at           BIGINT,
    evidence            TEXT     NOT NULL,
    evidence_hash       TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS approvals_newest ON approvals (tenant_id, requested_at, id);
CREATE INDEX IF NOT EXISTS approvals_status ON approvals (tenant_id, status, requested_at, id);
CREATE INDEX IF NOT EXISTS approvals_execution ON approvals (tenant_id, execution_id, requested_at, id);
CREATE INDEX IF NOT EXISTS approvals_pending ON approvals (tenant_id, execution_id) WHERE status = 'PENDING';

-- The audit trail of approvals: rows are added and never changed. decided_by is '' where the service acted.
CREATE TABLE IF NOT EXISTS approval_decisions (
    tenant_id     {{.Key}} NOT NULL,
    approval_id   {{.Key}} NOT NULL,
    action        TEXT     NOT NULL,
    decided_by    {{.Key}} NOT NULL,
    reason        TEXT     NOT NULL,
    decided_at    BIGINT   NOT NULL,
    evidence_hash TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, approval_id, decided_by, action),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES approvals (tenant_id, id)
);
-- A person decides once.
CREATE UNIQUE INDEX IF NOT EXISTS approval_decisions_by ON approval_decisions (tenant_id, approval_id, decided_by) WHERE decided_by <> '';
