-- What the columns of a step's output are made of, as JSON: the same for all executions of a version as long as its sources
-- have the same columns.
CREATE TABLE IF NOT EXISTS column_lineage (
    tenant_id   {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL,
    version     INTEGER  NOT NULL,
    step        {{.Key}} NOT NULL,
    lineage     TEXT     NOT NULL,
    PRIMARY KEY (tenant_id, pipeline_id, version, step),
    FOREIGN KEY (tenant_id, pipeline_id, version) REFERENCES pipeline_versions (tenant_id, pipeline_id, number)
);

-- What the current version of each pipeline that is not archived reads and writes. A data set has a row for every key that it is
-- found by; one that is not found by any has a single row with the key ''.
CREATE TABLE IF NOT EXISTS pipeline_datasets (
    tenant_id   {{.Key}} NOT NULL,
    key         {{.Key}} NOT NULL,
    direction   {{.Key}} NOT NULL,
    pipeline_id {{.Key}} NOT NULL,
    position    INTEGER  NOT NULL, -- in the definition
    dataset     TEXT     NOT NULL, -- JSON
    PRIMARY KEY (tenant_id, key, direction, pipeline_id, position),
    FOREIGN KEY (tenant_id, pipeline_id) REFERENCES pipelines (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS pipeline_datasets_pipeline ON pipeline_datasets (tenant_id, pipeline_id, position);
