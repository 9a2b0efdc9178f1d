DROP INDEX IF EXISTS approvals_overdue;
DELETE FROM counts WHERE kind = 'alert';
DROP INDEX IF EXISTS alerts_pipeline_both;
DROP INDEX IF EXISTS alerts_pipeline_severity;
DROP INDEX IF EXISTS alerts_pipeline_status;
DROP INDEX IF EXISTS alerts_status_severity;
DROP INDEX IF EXISTS alerts_severity;
{{if .Has "alerts" "comment"}}
ALTER TABLE alerts DROP COLUMN comment;
{{end}}
{{if .Has "alerts" "acknowledged_at"}}
ALTER TABLE alerts DROP COLUMN acknowledged_at;
{{end}}
{{if .Has "alerts" "acknowledged_by"}}
ALTER TABLE alerts DROP COLUMN acknowledged_by;
{{end}}
DROP TABLE IF EXISTS pipeline_hours;
