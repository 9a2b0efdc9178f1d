DROP TABLE IF EXISTS notifications;
{{if .Has "executions" "notify"}}
ALTER TABLE executions DROP COLUMN notify;
{{end}}
