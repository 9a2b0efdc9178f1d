DROP TABLE IF EXISTS approval_decisions;
DROP TABLE IF EXISTS approvals;
