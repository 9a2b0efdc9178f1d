package temporald

import "go.temporal.io/server/common/dynamicconfig"

// dynamicConfig is where this server differs from Temporal's defaults, which are meant for clusters.
func dynamicConfig() dynamicconfig.Client {
	const unlimited = 100_000 // requests a second: one process has nobody to protect itself from
	return dynamicconfig.StaticClient{
		// With one shard the default of 20 polls a second makes every dispatch wait 50 ms.
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 2000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    2000,

		// Partitions spread a task queue over hosts; here they would only cost forwarding.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,

		// Priorities and fairness between tenants.
		dynamicconfig.MatchingEnableFairness.Key(): true,
		dynamicconfig.MatchingAutoEnableV2.Key():   true,

		dynamicconfig.FrontendRPS.Key():                                  unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 1000,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                    unlimited,
		dynamicconfig.HistoryRPS.Key():                                   unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                     unlimited,
		dynamicconfig.MatchingRPS.Key():                                  unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                    unlimited,

		// Of requests that wait, such as polls and queries.
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): 10_000,
	}
}
