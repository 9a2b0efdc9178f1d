{{if .Has "pipelines" "budget_blocks"}}
ALTER TABLE pipelines DROP COLUMN budget_blocks;
{{end}}
{{if .Has "pipelines" "budget_micros"}}
ALTER TABLE pipelines DROP COLUMN budget_micros;
{{end}}
{{if .Has "executions" "estimated_cost_micros"}}
ALTER TABLE executions DROP COLUMN estimated_cost_micros;
{{end}}
DROP TABLE IF EXISTS task_costs;
DROP TABLE IF EXISTS execution_costs;
DROP TABLE IF EXISTS task_usage;
