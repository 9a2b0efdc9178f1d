package api

import "encoding/json"

// Bodies for the documentation, after the service's reference.

var (
	examplePipeline = json.RawMessage(`{
		"name": "daily-sales-etl",
		"version": "1.0.0",
		"description": "Daily sales data extraction and loading",
		"definition": {
			"sources": {"raw_transactions": {"type": "jdbc", "connection": "sales-database", "table": "public.raw_transactions"}},
			"transformations": [{"name": "clean_transactions", "type": "sql_transform", "inputs": ["raw_transactions"],
				"sql": "select * from raw_transactions where amount > 0"}],
			"quality_checks": [{"name": "amount_positive", "type": "range", "input": "clean_transactions", "column": "amount", "min": 0,
				"on_failure": "fail"}],
			"sinks": {"warehouse": {"type": "jdbc", "connection": "analytics", "table": "sales.daily_transactions",
				"mode": "merge_on_key", "merge_keys": ["transaction_id"]}},
			"orchestration": {"retry_policy": {"max_attempts": 3}, "timeout": "2h"}
		},
		"tags": ["sales", "daily", "etl"]
	}`)
	exampleCreatedPipeline = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "name": "daily-sales-etl", "version": "1.0.0", "definitionVersion": 1,
		"description": "Daily sales data extraction and loading", "tags": ["sales", "daily", "etl"], "status": "CREATED",
		"createdBy": "engineer@acme.com", "createdAt": "2026-02-12T10:30:00Z", "updatedAt": "2026-02-12T10:30:00Z"
	}`)
	examplePlan = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"definition": {
			"sources": {"raw_transactions": {"type": "jdbc", "connection": "sales-database", "table": "public.raw_transactions"}},
			"transformations": [{"name": "clean_transactions", "type": "sql_transform", "inputs": ["raw_transactions"],
				"sql": "select id, amount * rate as amount from raw_transactions"}],
			"sinks": {"warehouse": {"type": "jdbc", "connection": "analytics", "table": "sales.daily_transactions",
				"mode": "append"}}
		},
		"sample": 1
	}`)
	examplePlanned = json.RawMessage(`{
		"valid": true,
		"diff": {"against": 3, "added": [], "removed": [],
			"changed": [{"path": "transformations.clean_transactions.sql", "before": "select id, amount from raw_transactions",
				"after": "select id, amount * rate as amount from raw_transactions"}]},
		"steps": [
			{"name": "raw_transactions", "kind": "source", "columns": [{"name": "id", "type": "BIGINT"},
				{"name": "amount", "type": "DECIMAL(12,2)"}, {"name": "rate", "type": "DOUBLE"}],
				"rows": [{"id": "1", "amount": "120.50", "rate": "1.1"}]},
			{"name": "clean_transactions", "kind": "transformation", "columns": [{"name": "id", "type": "BIGINT"},
				{"name": "amount", "type": "DOUBLE"}], "rows": [{"id": "1", "amount": "132.55"}]},
			{"name": "warehouse", "kind": "sink", "columns": [{"name": "id", "type": "BIGINT"}, {"name": "amount", "type": "DOUBLE"}]}
		],
		"sinks": [{"name": "warehouse", "exists": true, "compatible": true,
			"changes": [{"column": "amount", "change": "type_changed", "from": "numeric(12,2)", "to": "double precision"}]}],
		"schedules": [{"scheduleId": "schedule-01khk2w3m5r8x1t7q9v4b6n0c2", "enabled": true}],
		"downstream": [{"pipelineId": "pipeline-01khk2x4r7mq1w8t5v9b3c6n0d", "name": "weekly-report", "depth": 1,
			"links": [{"from": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "to": "pipeline-01khk2x4r7mq1w8t5v9b3c6n0d",
				"writes": "analytics.sales.daily_transactions", "reads": "analytics.sales.daily_transactions"}]}],
		"estimate": {"durationMs": 285000, "costUsd": 0.48}
	}`)
	exampleVersionDiff = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "definitionVersion": 3, "against": 2,
		"added": [{"path": "orchestration.timeout", "after": "2h"}],
		"removed": [{"path": "quality_checks.amount_positive", "before": {"name": "amount_positive", "type": "range",
			"input": "clean_transactions", "column": "amount", "min": 0}}],
		"changed": [{"path": "transformations.clean_transactions.sql", "before": "select * from raw_transactions",
			"after": "select * from raw_transactions where amount > 0"}]
	}`)
	exampleTemplatePipeline = json.RawMessage(`{
		"pipelineName": "acme-daily-sales",
		"parameters": {"source_connection": "till-exports", "target_connection": "warehouse", "currency": "EUR"},
		"customizations": {"sources.sales.prefix": "exports/sales/", "sinks.store_days.format": "parquet"}
	}`)
	exampleCreatedFromTemplate = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2x4r7mq1w8t5v9b3c6n0d", "name": "acme-daily-sales", "version": "1.0.0", "definitionVersion": 1,
		"description": "Sales of every store and day", "tags": ["retail", "daily_sales"], "status": "CREATED",
		"createdBy": "engineer@acme.com", "createdAt": "2026-02-12T10:30:00Z", "updatedAt": "2026-02-12T10:30:00Z"
	}`)
	exampleLineage = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "definitionVersion": 1,
		"sources": [{"type": "TABLE", "fqn": "sales.public.raw_transactions", "step": "raw_transactions"}],
		"sinks": [{"type": "TABLE", "fqn": "analytics.sales.daily_transactions", "step": "warehouse"}],
		"transformations": [{"name": "clean_transactions", "type": "sql_transform"}],
		"columns": [{"sink": "analytics.sales.daily_transactions", "column": "amount",
			"inputs": [{"source": "sales.public.raw_transactions", "column": "amount", "kind": "IDENTITY"}]}],
		"rows": [{"sink": "analytics.sales.daily_transactions",
			"inputs": [{"source": "sales.public.raw_transactions", "column": "amount", "kind": "FILTER"}]}],
		"downstream": [{"pipelineId": "pipeline-01khk2z4c8m6t1v9b3x7n5s2d0", "name": "monthly-report", "depth": 1,
			"links": [{"from": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "to": "pipeline-01khk2z4c8m6t1v9b3x7n5s2d0",
				"writes": "analytics.sales.daily_transactions", "reads": "analytics.sales.daily_transactions"}]}],
		"lastExecuted": "2026-02-12T06:00:00Z"
	}`)
	exampleExecute = json.RawMessage(`{
		"parameters": {"start_date": "2026-02-01", "end_date": "2026-02-12"}, "engine_override": null, "priority": "NORMAL"
	}`)
	exampleSubmitted = json.RawMessage(`{
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "status": "QUEUED",
		"engine": "temporal", "priority": "NORMAL", "definitionVersion": 1, "estimatedDurationMs": 300000,
		"submittedAt": "2026-02-12T10:30:00Z"
	}`)
	exampleExecution = json.RawMessage(`{
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"pipelineName": "daily-sales-etl", "definitionVersion": 1, "status": "RUNNING", "engine": "temporal", "priority": "NORMAL",
		"trigger": "MANUAL",
		"progress": {"totalTasks": 5, "completedTasks": 3, "currentTask": "enrich_with_products", "percentage": 60},
		"metrics": {"rowsProcessed": 1234567, "bytesProcessed": 536870912, "elapsedMs": 120000},
		"estimatedDurationMs": 300000, "submittedBy": "engineer@acme.com", "submittedAt": "2026-02-12T10:30:00Z",
		"startedAt": "2026-02-12T10:30:05Z"
	}`)
	exampleRerun          = json.RawMessage(`{"from": "failed"}`)
	exampleRerunSubmitted = json.RawMessage(`{
		"executionId": "exec-01khk3b2c6x9m4q7t1w8v5n0d3", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "status": "QUEUED",
		"engine": "temporal", "priority": "NORMAL", "definitionVersion": 1, "estimatedDurationMs": 300000,
		"submittedAt": "2026-02-12T10:45:00Z", "rerunOf": "exec-01khk2vq4e8w2n7r5z0y9p6k3m"
	}`)
	exampleTriggerDag = json.RawMessage(`{"conf": {"start_date": "2026-02-01", "end_date": "2026-02-12"}}`)
	exampleAudit      = json.RawMessage(`{
		"entries": [{"auditId": "audit-01khk2vr7c4n8w1q5z9t3m6x0b", "at": "2026-02-12T10:30:00Z", "subject": "engineer@acme.com",
			"operation": "executePipeline", "method": "POST", "path": "/v1/pipelines/pipeline-01khk2v0w9jx3t6q8m5d7c4b2a/execute",
			"resourceId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "status": 202, "requestId": "01khk2vq3x7m1t4w8z0c5n9b6d"}],
		"page": 0, "size": 20, "total": 1
	}`)
	exampleSchedule = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "cronExpression": "0 6 * * *", "timezone": "America/New_York",
		"parameters": {"lookback_days": 1}, "enabled": true
	}`)
	exampleCreatedSchedule = json.RawMessage(`{
		"scheduleId": "schedule-01khk2xc5t8v1m4q7w0z3n6r9b", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"cronExpression": "0 6 * * *", "timezone": "America/New_York", "parameters": {"lookback_days": 1}, "enabled": true,
		"overlapPolicy": "skip", "catchupWindow": "1d", "jitter": "0s", "skipDates": [],
		"nextDueTimes": ["2026-02-13T11:00:00Z", "2026-02-14T11:00:00Z", "2026-02-15T11:00:00Z", "2026-02-16T11:00:00Z", "2026-02-17T11:00:00Z"],
		"recentDueTimes": [{"dueAt": "2026-02-12T11:00:00Z", "outcome": "STARTED", "executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "status": "COMPLETED"}],
		"createdBy": "engineer@acme.com", "createdAt": "2026-02-11T10:30:00Z", "updatedAt": "2026-02-11T10:30:00Z"
	}`)
	exampleBackfill = json.RawMessage(`{
		"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "scheduleId": "schedule-01khk2xc5t8v1m4q7w0z3n6r9b", "maxParallel": 3
	}`)
	exampleCreatedBackfill = json.RawMessage(`{
		"backfillId": "backfill-01khk30h7v2x5m8q1t4w7z0n3r", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"scheduleId": "schedule-01khk2xc5t8v1m4q7w0z3n6r9b", "cronExpression": "0 6 * * *", "timezone": "America/New_York",
		"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "version": 1, "priority": "LOW", "maxParallel": 3,
		"status": "RUNNING", "progress": {"completed": 10, "failed": 1, "cancelled": 0, "running": 3, "waiting": 17, "percentage": 35},
		"attempt": 1, "submittedBy": "engineer@acme.com", "submittedAt": "2026-02-12T10:30:00Z", "totalDueTimes": 31
	}`)
	examplePriority  = json.RawMessage(`{"priority": "CRITICAL"}`)
	exampleCancelled = json.RawMessage(`{"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "status": "CANCELLING"}`)
	exampleApproval  = json.RawMessage(`{
		"approvalId": "approval-exec-01khk2vq4e8w2n7r5z0y9p6k3m-amount_positive", "executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m",
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "gate": "amount_positive", "status": "PENDING",
		"required": 1, "approvals": 0, "groups": ["finance"], "allowSelfApproval": false, "submittedBy": "engineer@acme.com",
		"requestedAt": "2026-02-12T10:31:00Z", "deadline": "2026-02-12T14:31:00Z",
		"evidence": {"check": "amount_positive", "checkType": "range", "rows": 3000, "failing": 12, "share": 0.004, "threshold": 0.001,
			"message": "12 of 3000 rows (0.4 %) have an amount out of range", "sample": [{"transaction_id": "17", "amount": "-3.50", "iban": "***"}]},
		"evidenceHash": "6f1ed002ab5595859014ebf0951522d9f2ac2e4b8f1a0f6f4a0d1b7f3f5a9c11", "decisions": []
	}`)
	exampleSignal = json.RawMessage(`{
		"signalName": "approval",
		"data": {"approved": true, "approvedBy": "data-steward@acme.com", "reason": "Quality check review completed"}
	}`)
	exampleSignalled = json.RawMessage(`{
		"workflowId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "signalName": "approval",
		"approvalId": "approval-exec-01khk2vq4e8w2n7r5z0y9p6k3m-amount_positive", "gate": "amount_positive",
		"status": "APPROVED", "approvals": 1, "required": 1
	}`)
	exampleWorkflow = json.RawMessage(`{
		"workflowId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "workflowType": "ExecutionWorkflow",
		"runId": "0b3e1f8a-6f0e-4a57-9d0a-3f6f2f0f9a11", "status": "RUNNING", "startedAt": "2026-02-12T10:30:01Z",
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"executionStatus": "AWAITING_APPROVAL",
		"pendingActivities": [{"name": "enrich_with_products", "state": "STARTED", "attempt": 2, "startedAt": "2026-02-12T10:30:20Z",
			"lastFailure": "the source broke off"}],
		"pendingApprovals": [{"approvalId": "approval-exec-01khk2vq4e8w2n7r5z0y9p6k3m-amount_positive", "gate": "amount_positive",
			"required": 1, "approvals": 0, "deadline": "2026-02-12T14:31:00Z"}],
		"progress": {"totalTasks": 5, "completedTasks": 3, "currentTask": "enrich_with_products", "percentage": 60}
	}`)
	exampleCancelledWorkflow = json.RawMessage(`{"workflowId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "status": "CANCELLING"}`)

	exampleMetrics = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "period": "7d",
		"metrics": {"executionCount": 7, "successRate": 1.0, "avgDurationMs": 285000, "totalRowsProcessed": 8765432,
			"totalBytesProcessed": 12345678900, "totalCostUsd": 3.45},
		"history": [
			{"date": "2026-02-11", "status": "COMPLETED", "durationMs": 290000, "rows": 1250000, "executions": 1},
			{"date": "2026-02-12", "status": "COMPLETED", "durationMs": 275000, "rows": 1234567, "executions": 1}
		]
	}`)
	exampleExecutionCost = json.RawMessage(`{
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "totalCostUsd": 0.48,
		"breakdown": {"compute": 0.34, "storage": 0.1, "network": 0.04}, "rateVersion": "2026-01", "final": true,
		"byTask": [
			{"task": "raw_transactions", "totalCostUsd": 0.32, "breakdown": {"compute": 0.18, "storage": 0.1, "network": 0.04}, "attempts": 2,
				"cpuSeconds": 310.25, "memoryGbSeconds": 96.5, "peakMemoryBytes": 536870912, "storageGbHours": 13, "networkBytes": 536870912},
			{"task": "clean_transactions", "totalCostUsd": 0.16, "breakdown": {"compute": 0.16, "storage": 0, "network": 0}, "attempts": 1,
				"cpuSeconds": 280.5, "memoryGbSeconds": 120.75, "peakMemoryBytes": 1073741824, "storageGbHours": 0, "networkBytes": 0}
		]
	}`)
	examplePipelineCost = json.RawMessage(`{
		"pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a", "period": "30d", "totalCostUsd": 14.5,
		"breakdown": {"compute": 10.2, "storage": 3.1, "network": 1.2}, "costPerExecution": 0.483333, "executions": 30, "trend": "stable",
		"byTask": [
			{"task": "raw_transactions", "totalCostUsd": 14.5, "breakdown": {"compute": 10.2, "storage": 3.1, "network": 1.2}, "attempts": 31,
				"cpuSeconds": 9307.5, "memoryGbSeconds": 2895, "peakMemoryBytes": 536870912, "storageGbHours": 390, "networkBytes": 16106127360}
		]
	}`)
	exampleAcknowledge = json.RawMessage(`{"comment": "the vendor's file was empty; they send it again"}`)
	exampleAlert       = json.RawMessage(`{
		"alertId": "alert-01khk4c9z2v7n5x3m8q1w6t0b4", "pipelineId": "pipeline-01khk2v0w9jx3t6q8m5d7c4b2a",
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "rule": "EXECUTION_FAILED", "severity": "CRITICAL", "status": "ACKNOWLEDGED",
		"message": "task raw_transactions: source_error: the file is empty", "count": 2,
		"firstSeenAt": "2026-02-11T10:31:00Z", "lastSeenAt": "2026-02-12T10:31:00Z", "acknowledgedBy": "engineer@acme.com",
		"acknowledgedAt": "2026-02-12T10:40:00Z", "comment": "the vendor's file was empty; they send it again"
	}`)

	exampleLog = json.RawMessage(`{
		"executionId": "exec-01khk2vq4e8w2n7r5z0y9p6k3m", "task": "clean_transactions",
		"lines": [{"timestamp": "2026-02-12T10:30:07Z", "level": "INFO", "task": "clean_transactions", "message": "started"}]
	}`)
	exampleConnection = json.RawMessage(`{
		"name": "sales-database", "type": "jdbc", "host": "sales-db.internal", "port": 5432, "database": "sales",
		"credentialSecretRef": "sales-db-credentials", "properties": {"sslMode": "require", "connectionTimeout": 10000}
	}`)
	exampleCreatedConnection = json.RawMessage(`{
		"connectionId": "conn-01khk2w8t6m4x1v9b3c7n5s2d0", "name": "sales-database", "type": "jdbc", "host": "sales-db.internal",
		"port": 5432, "database": "sales", "credentialSecretRef": "sales-db-credentials",
		"properties": {"sslMode": "require", "connectionTimeout": 10000},
		"createdBy": "engineer@acme.com", "createdAt": "2026-02-12T10:30:00Z"
	}`)
	exampleTest = json.RawMessage(`{
		"connected": true, "latencyMs": 15, "version": "PostgreSQL 16.2", "details": {"schemas": ["public", "staging"], "tables": 45}
	}`)
)

const (
	exampleLineageDOT = "digraph lineage {\n  rankdir=LR;\n  n0 [shape=cylinder, label=\"sales.public.raw_transactions\"];\n" +
		"  n1 [shape=box, label=\"clean_transactions\\nsql_transform\"];\n  n0 -> n1;\n}\n"
	exampleLogText   = "2026-02-12T10:30:07.000Z INFO  clean_transactions started\n"
	exampleLogEvents = "id: 17\nevent: line\ndata: {\"timestamp\":\"2026-02-12T10:30:07Z\",\"level\":\"INFO\"," +
		"\"task\":\"clean_transactions\",\"message\":\"started\"}\n\n" +
		"event: end\ndata: {\"executionId\":\"exec-01khk2vq4e8w2n7r5z0y9p6k3m\",\"status\":\"COMPLETED\"}\n\n"
)
