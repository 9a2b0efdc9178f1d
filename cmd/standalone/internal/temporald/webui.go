package temporald

import (
	"context"
	"fmt"
	"net/http"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is Temporal's Web UI, talking to the frontend by gRPC.
type webUI struct {
	server  *uiserver.Server
	address string
}

// startUI starts the UI and returns when it answers.
func startUI(ctx context.Context, listen, frontend string) (*webUI, error) {
	address, err := listenAddress(listen)
	if err != nil {
		return nil, fmt.Errorf("web UI: %w", err)
	}
	host := address.Addr().String()
	if address.Addr().Is6() {
		host = "[" + host + "]"
	}
	ui := &webUI{
		address: address.String(),
		server: uiserver.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
			Host:                host,
			Port:                int(address.Port()),
			TemporalGRPCAddress: frontend,
			DefaultNamespace:    Namespace,
			EnableUI:            true,
			DisableNewsFetch:    true,
			HideLogs:            true,
			CORS:                uiconfig.CORS{CookieInsecure: true}, // served by plain HTTP
		})),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- ui.server.Start() }()
	if err := ui.waitReady(ctx, stopped); err != nil {
		ui.stop()
		return nil, err
	}
	return ui, nil
}

func (u *webUI) waitReady(ctx context.Context, stopped <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := u.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("web UI does not answer at %s: %w", u.address, err)
		case err := <-stopped:
			return fmt.Errorf("web UI: %w", err)
		case <-tick.C:
		}
	}
}

func (u *webUI) ping(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.address+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

func (u *webUI) stop() { u.server.Stop() }
