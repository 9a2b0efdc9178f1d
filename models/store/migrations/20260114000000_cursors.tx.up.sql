-- How far the incremental sources of a pipeline are published; see models.Cursor.
CREATE TABLE IF NOT EXISTS cursors (
    tenant_id    {{.Key}} NOT NULL,
    pipeline_id  {{.Key}} NOT NULL,
    source       {{.Key}} NOT NULL,
    seq          BIGINT   NOT NULL,
    value        TEXT     NOT NULL,
    batch        {{.Key}} NOT NULL, -- '' while none is pending
    pending      TEXT     NOT NULL,
    execution_id {{.Key}} NOT NULL, -- which wrote the row last
    changed_at   BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, pipeline_id, source),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);

-- What executions have read of them. The rows go with the staged data.
CREATE TABLE IF NOT EXISTS batches (
    tenant_id    {{.Key}} NOT NULL,
    execution_id {{.Key}} NOT NULL,
    source       {{.Key}} NOT NULL,
    batch        {{.Key}} NOT NULL,
    base         BIGINT   NOT NULL,
    ending       TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, execution_id, source),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);
