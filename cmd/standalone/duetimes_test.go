package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/grpc"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/cron"
)

// specs makes what contract.ApplySchedule asks Temporal for: by way of the real client, whose requests go nowhere.
func specs(t *testing.T) func(models.Schedule) *schedulepb.ScheduleSpec {
	t.Helper()
	var asked *schedulepb.ScheduleSpec
	c, err := client.NewLazyClient(client.Options{ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(_ context.Context, _ string, request, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
			if create, ok := request.(*workflowservice.CreateScheduleRequest); ok {
				asked = create.GetSchedule().GetSpec()
			}
			return nil
		}),
	}}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return func(s models.Schedule) *schedulepb.ScheduleSpec {
		asked = nil
		require.NoError(t, contract.ApplySchedule(t.Context(), c.ScheduleClient(), s))
		require.NotNil(t, asked)
		return asked
	}
}

// randomCron is an expression whose fields are of every form; many of them are coarse, so that a few due times reach far.
func randomCron(r *rand.Rand) string {
	between := func(low, high int) int { return low + r.IntN(high-low+1) }
	field := func(low, high int) string {
		a := between(low, high)
		b := between(a, high)
		switch r.IntN(6) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("*/%d", between(1, high))
		case 2:
			return fmt.Sprintf("%d-%d", a, b)
		case 3:
			return fmt.Sprintf("%d-%d/%d", a, b, between(1, 5))
		case 4:
			return fmt.Sprintf("%d,%d", a, b)
		default:
			return fmt.Sprint(a)
		}
	}
	fields := []string{field(0, 59), field(0, 4), field(1, 31), field(1, 12), field(0, 7)}
	for i, everything := range []int{2, 2, 2, 3, 2} { // one in so many is replaced
		if r.IntN(everything) == 0 {
			fields[i] = map[bool]string{true: fmt.Sprint(between(0, 3)), false: "*"}[i < 2]
		}
	}
	return strings.Join(fields, " ")
}

// TestDueTimesAreTemporals compares the due times that the service tells with those at which the server starts
// workflows, over one and a half years that have changes of the clocks in every zone and a 29 February. Zones that leave
// out midnight (America/Asuncion), or change by half an hour (Australia/Lord_Howe), are no exception.
func TestDueTimesAreTemporals(t *testing.T) {
	const expressions, most = 120, 400
	from, to := time.Date(2023, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, uint64(from.Year())))
	all := []string{"30 2 * * *", "0 0 * * *", "*/15 0-3 * * *", "0 12 29 2 *", "45 1 * * SUN", "0 0 13 * FRI", "0 0 1 10 *", "*/7 * */9 * *"}
	for len(all) < expressions {
		if text := randomCron(r); func() bool { _, err := cron.Parse(text); return err == nil }() {
			all = append(all, text)
		}
	}
	builder := scheduler.NewSpecBuilder(dynamicconfig.GetIntPropertyFn(0), dynamicconfig.GetIntPropertyFn(0))
	specOf := specs(t)
	for _, zone := range []string{"America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Asuncion"} {
		for _, text := range all {
			s := models.Schedule{
				ID: models.NewID(models.PrefixSchedule), Cron: text, Timezone: zone, Enabled: true, Overlap: models.OverlapSkip,
				CatchupWindow: time.Hour, SkipDates: []string{"2023-12-25", "2024-03-31", "2024-11-03"}, Revision: 1,
			}
			theirs, err := builder.NewCompiledSpec(specOf(s))
			require.NoError(t, err)
			ours, err := cron.NewTimes(text, zone, s.SkipDates)
			require.NoError(t, err)
			for at, n := from, 0; at.Before(to) && n < most; n++ {
				want, err := theirs.GetNextTime("", at)
				require.NoError(t, err)
				got := ours.Next(at)
				if want.Next.IsZero() && got.After(to) || want.Next.After(to) && got.After(to) {
					break
				}
				require.Equal(t, want.Next.UTC(), got, "%s in %s after %s", text, zone, at)
				if at = got; n%50 == 49 { // frequent ones go on further on, so that they come past every change of the clocks
					at = at.AddDate(0, 1, 0)
				}
			}
		}
	}
}
