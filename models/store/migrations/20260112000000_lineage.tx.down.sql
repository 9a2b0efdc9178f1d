DROP TABLE IF EXISTS pipeline_datasets;
DROP TABLE IF EXISTS column_lineage;
