package temporald

import (
	"net"
	"net/netip"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"

	"github.com/matih/pipeline-service/cmd/internal/boot"
)

const (
	loopback    = "127.0.0.1"
	clusterName = "standalone"
	storeName   = "sqlite"
	archivalOff = "disabled"
)

// listenAddress resolves host:port to an address that is free right now; port 0 picks one.
func listenAddress(hostPort string) (netip.AddrPort, error) {
	l, err := net.Listen("tcp", hostPort)
	if err != nil {
		return netip.AddrPort{}, boot.ListenError(hostPort, err)
	}
	address := l.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port()), l.Close()
}

// serverConfig is the server's static configuration. Only the frontend may be reached from outside.
func serverConfig(database string, frontend netip.AddrPort) (*config.Config, error) {
	conf := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: sqlConfig(database)}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
	}
	conf.Global.Membership.MaxJoinDuration = 10 * time.Second
	conf.Global.Membership.BroadcastAddress = loopback
	conf.Archival.History.State = archivalOff
	conf.Archival.Visibility.State = archivalOff
	conf.NamespaceDefaults.Archival.History.State = archivalOff
	conf.NamespaceDefaults.Archival.Visibility.State = archivalOff

	local := netip.AddrPortFrom(netip.MustParseAddr(loopback), frontend.Port())
	conf.PublicClient.HostPort = local.String()
	conf.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: local.String()},
		},
	}

	conf.Services = map[string]config.Service{
		string(primitives.FrontendService): {
			RPC: config.RPC{GRPCPort: int(frontend.Port()), BindOnIP: frontend.Addr().String()},
		},
	}
	for _, name := range []primitives.ServiceName{
		primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port, err := boot.FreePort()
		if err != nil {
			return nil, err
		}
		conf.Services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	return conf, nil
}

// sqlConfig opens the file in WAL with synchronous=NORMAL: a crash of the process loses nothing, a crash of the
// machine may lose the last moments but leaves the file whole.
func sqlConfig(database string) *config.SQL {
	return &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: database,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"synchronous":  "1",
			"busy_timeout": "10000",
		},
	}
}
