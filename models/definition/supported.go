package definition

import "github.com/matih/pipeline-service/models"

// What a definition may name but this release cannot do yet stands here and nowhere else. Such a
// word gets one clear mistake. To support one, take it out here and give it its document struct.

var (
	laterSources = []string{"api"}
	laterSinks   = []string{"iceberg"}
)

// laterReadModes are the read modes that no source has.
var laterReadModes = []ReadMode{ReadPartition, ReadSnapshot}

// laterJDBCModes are the write modes that relational sinks lack.
var laterJDBCModes = []WriteMode{WriteOverwritePartition}

// storageConnections are the types of connections that files are read from and written to.
var storageConnections = []models.ConnectionType{models.ConnectionLocal}

// databaseConnections are the types of connections that tables are read from and written to.
var databaseConnections = []models.ConnectionType{models.ConnectionJDBC}

// kafkaConnections are the types of connections that topics are read from.
var kafkaConnections = []models.ConnectionType{models.ConnectionKafka}
