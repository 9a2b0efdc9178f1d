-- What executions were, by the hour in which they ended (hours since 1970 in UTC): of each pipeline, and, under '',
-- of all of a tenant's. It is written with the end of each execution, so that metrics need not read executions.
CREATE TABLE IF NOT EXISTS pipeline_hours (
    tenant_id       {{.Key}} NOT NULL,
    pipeline_id     {{.Key}} NOT NULL,
    hour            BIGINT   NOT NULL,
    executions      BIGINT   NOT NULL,
    completed       BIGINT   NOT NULL,
    timed           BIGINT   NOT NULL, -- how many of them ran at all
    duration_micros BIGINT   NOT NULL, -- of those that ran, from start to end
    rows_processed  BIGINT   NOT NULL,
    bytes_processed BIGINT   NOT NULL,
    cost_micros     BIGINT   NOT NULL, -- millionths of a dollar
    last_status     TEXT     NOT NULL,
    last_ended      BIGINT,
    PRIMARY KEY (tenant_id, pipeline_id, hour)
);
INSERT INTO pipeline_hours
    SELECT tenant_id, pipeline_id, hour, COUNT(*), SUM(completed), SUM(timed), SUM(duration), SUM(rows_processed), SUM(bytes_processed), 0,
        MAX(CASE WHEN newest = 1 THEN status ELSE '' END), MAX(ended_at)
    FROM (
        SELECT e.tenant_id, s.scope AS pipeline_id, e.ended_at / 3600000000 AS hour, e.status, e.ended_at, e.rows_processed, e.bytes_processed,
            CASE WHEN e.status = 'COMPLETED' THEN 1 ELSE 0 END AS completed,
            CASE WHEN e.started_at IS NULL THEN 0 ELSE 1 END AS timed,
            COALESCE(e.ended_at - e.started_at, 0) AS duration,
            ROW_NUMBER() OVER (PARTITION BY e.tenant_id, s.scope, e.ended_at / 3600000000 ORDER BY e.ended_at DESC, e.id DESC) AS newest
        FROM executions AS e JOIN (SELECT tenant_id, id, id AS scope FROM pipelines UNION ALL SELECT tenant_id, id, '' FROM pipelines) AS s
            ON s.tenant_id = e.tenant_id AND s.id = e.pipeline_id
        WHERE e.run_slot IS NULL AND e.ended_at IS NOT NULL
    ) AS ended
    WHERE TRUE GROUP BY tenant_id, pipeline_id, hour
    ON CONFLICT DO NOTHING;

{{if not (.Has "alerts" "acknowledged_by")}}
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
{{end}}
{{if not (.Has "alerts" "acknowledged_at")}}
ALTER TABLE alerts ADD COLUMN acknowledged_at BIGINT;
{{end}}
{{if not (.Has "alerts" "comment")}}
ALTER TABLE alerts ADD COLUMN comment TEXT NOT NULL DEFAULT '';
{{end}}
-- One for each combination of filters that has none yet.
CREATE INDEX IF NOT EXISTS alerts_severity ON alerts (tenant_id, severity, id);
CREATE INDEX IF NOT EXISTS alerts_status_severity ON alerts (tenant_id, status, severity, id);
CREATE INDEX IF NOT EXISTS alerts_pipeline_status ON alerts (tenant_id, pipeline_id, status, id);
CREATE INDEX IF NOT EXISTS alerts_pipeline_severity ON alerts (tenant_id, pipeline_id, severity, id);
CREATE INDEX IF NOT EXISTS alerts_pipeline_both ON alerts (tenant_id, pipeline_id, status, severity, id);
INSERT INTO counts (tenant_id, kind, scope, status, n)
    SELECT a.tenant_id, 'alert', s.scope, a.status || '/' || a.severity, COUNT(*)
    FROM alerts AS a JOIN (SELECT tenant_id, id, id AS scope FROM pipelines UNION ALL SELECT tenant_id, id, '' FROM pipelines) AS s
        ON s.tenant_id = a.tenant_id AND s.id = a.pipeline_id
    WHERE TRUE GROUP BY a.tenant_id, s.scope, a.status, a.severity
    ON CONFLICT DO NOTHING;
-- The approvals of which somebody was reminded in vain so far.
CREATE INDEX IF NOT EXISTS approvals_overdue ON approvals (tenant_id, pipeline_id) WHERE status = 'PENDING' AND reminded_at IS NOT NULL;
