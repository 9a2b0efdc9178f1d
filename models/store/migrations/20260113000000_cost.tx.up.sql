-- What the attempts of tasks used, each written once. An attempt may tell of it when its execution has ended.
CREATE TABLE IF NOT EXISTS task_usage (
    tenant_id         {{.Key}} NOT NULL,
    execution_id      {{.Key}} NOT NULL,
    task              {{.Key}} NOT NULL,
    attempt           INTEGER  NOT NULL,
    ended_at          BIGINT   NOT NULL,
    cpu_micros        BIGINT   NOT NULL,
    wall_micros       BIGINT   NOT NULL,
    peak_memory_bytes BIGINT   NOT NULL,
    mean_memory_bytes BIGINT   NOT NULL,
    network_bytes     BIGINT   NOT NULL,
    staged_bytes      BIGINT   NOT NULL,
    quarantined_bytes BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, execution_id, task, attempt),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);

-- What executions cost that have ended, in millionths of a dollar.
CREATE TABLE IF NOT EXISTS execution_costs (
    tenant_id      {{.Key}} NOT NULL,
    execution_id   {{.Key}} NOT NULL,
    rate_version   TEXT     NOT NULL,
    compute_micros BIGINT   NOT NULL,
    storage_micros BIGINT   NOT NULL,
    network_micros BIGINT   NOT NULL,
    tasks          TEXT     NOT NULL, -- JSON: the parts of each task
    PRIMARY KEY (tenant_id, execution_id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES executions (tenant_id, id)
);

-- What the tasks of a pipeline used and cost, summed up by the hour (hours = 1) and by the UTC day (hours = 24) in which their
-- executions ended, so that a long period need not read every hour of every task. Whatever an execution cost, one of its tasks did. hour is the first of them, since 1970.
CREATE TABLE IF NOT EXISTS task_costs (
    tenant_id           {{.Key}} NOT NULL,
    pipeline_id         {{.Key}} NOT NULL,
    hours               INTEGER  NOT NULL,
    hour                BIGINT   NOT NULL,
    task                {{.Key}} NOT NULL,
    attempts            BIGINT   NOT NULL,
    compute_micros      BIGINT   NOT NULL,
    storage_micros      BIGINT   NOT NULL,
    network_micros      BIGINT   NOT NULL,
    cpu_micros          BIGINT   NOT NULL,
    memory_byte_seconds BIGINT   NOT NULL,
    storage_byte_hours  BIGINT   NOT NULL,
    network_bytes       BIGINT   NOT NULL,
    peak_memory_bytes   BIGINT   NOT NULL,
    PRIMARY KEY (tenant_id, pipeline_id, hours, hour, task)
);

{{if not (.Has "executions" "estimated_cost_micros")}}
ALTER TABLE executions ADD COLUMN estimated_cost_micros BIGINT; -- NULL where nothing is known
{{end}}
{{if not (.Has "pipelines" "budget_micros")}}
ALTER TABLE pipelines ADD COLUMN budget_micros BIGINT NOT NULL DEFAULT 0; -- a month; 0 is none
{{end}}
{{if not (.Has "pipelines" "budget_blocks")}}
ALTER TABLE pipelines ADD COLUMN budget_blocks BOOLEAN NOT NULL DEFAULT FALSE;
{{end}}
