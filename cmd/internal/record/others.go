package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// secret is what a connection's secret holds; no history may.
const secret = "kept-out-of-histories" //nolint:gosec // of a server that does not listen to it

// maintenance runs every minute.
func maintenance(w *world) {
	w.until("maintenance to have run", func(ctx context.Context) (bool, error) {
		described, err := w.temporal.ScheduleClient().GetHandle(ctx, contract.MaintenanceScheduleID).Describe(ctx)
		if err != nil || len(described.Info.RecentActions) == 0 {
			return false, err
		}
		ran := described.Info.RecentActions[0].StartWorkflowResult
		w.save("MaintenanceWorkflow-completed", ran.WorkflowID, ran.FirstExecutionRunID, closed)
		return true, w.err
	})
}

// connectionTests are ConnectionTestWorkflows, started as the API does, whose clients wait for them.
func connectionTests(w *world) {
	silent, stop := w.listen()
	defer stop()
	hangs := w.test(silent)
	w.save("ConnectionTestWorkflow-running", hangs, "", waiting(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, 1))
	stop()
	w.save("ConnectionTestWorkflow-unreachable", hangs, "", closed)
	var list struct {
		Connections []struct{ ConnectionID, Name string }
	}
	w.call(http.MethodGet, "/connections", nil, http.StatusOK, &list)
	for _, c := range list.Connections {
		if c.Name == "files" {
			w.save("ConnectionTestWorkflow-ok", w.test(c.ConnectionID), "", closed)
		}
	}
}

func (w *world) test(connection string) (id string) {
	id = models.NewID(contract.ConnectionTestPrefix)
	w.do("test "+connection, func() error {
		_, err := w.temporal.ExecuteWorkflow(w.ctx, client.StartWorkflowOptions{ID: id, TaskQueue: contract.QueueControl},
			contract.ConnectionTestWorkflow, contract.TestConnectionInput{Tenant: tenant, ConnectionID: connection})
		return err
	})
	return id
}

// listen makes a connection to a server that accepts and says nothing until it is stopped.
func (w *world) listen() (connection string, stop func()) {
	var listener net.Listener
	w.do("listen", func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if w.err != nil {
		return "", func() {}
	}
	stopped := make(chan struct{})
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				<-stopped
				_ = c.Close()
			}()
		}
	}()
	w.do("connection to a silent server", func() (err error) {
		dir := filepath.Join(w.root, "data", "secrets", tenant, "silent")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for _, key := range []string{"username", "password"} {
			if err := os.WriteFile(filepath.Join(dir, key), []byte(secret), 0o600); err != nil {
				return err
			}
		}
		connection, err = w.ada.CreateConnection(w.ctx, m{
			"name": "silent", "type": "jdbc", "host": "127.0.0.1", "port": listener.Addr().(*net.TCPAddr).Port, "database": "none",
			"credentialSecretRef": "silent", "properties": m{"driver": "postgresql", "sslMode": "disable"},
		})
		return err
	})
	return connection, sync.OnceFunc(func() {
		close(stopped)
		_ = listener.Close()
	})
}
