package demo

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/matih/pipeline-service/models"
)

// pollEvery is how often the execution is looked at: often enough to see tasks pass.
const pollEvery = 50 * time.Millisecond

type execution struct {
	ID           string                 `json:"executionId"`
	Status       models.ExecutionStatus `json:"status"`
	StatusReason string                 `json:"statusReason"`
	Progress     struct {
		TotalTasks     int    `json:"totalTasks"`
		CompletedTasks int    `json:"completedTasks"`
		CurrentTask    string `json:"currentTask"`
	} `json:"progress"`
	Metrics struct {
		RowsProcessed  int64 `json:"rowsProcessed"`
		BytesProcessed int64 `json:"bytesProcessed"`
		ElapsedMs      int64 `json:"elapsedMs"`
	} `json:"metrics"`
	Error *models.ExecutionError `json:"error"`
}

// follow draws the execution's progress until its end.
func (d *demo) follow(ctx context.Context, id string) (*execution, error) {
	bar := progressbar.NewOptions(0,
		progressbar.OptionSetWriter(d.Out), progressbar.OptionSetVisibility(d.Terminal),
		progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false))
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var e execution
		if err := d.get(ctx, "/v1/pipelines/executions/"+id, &e); err != nil {
			return nil, err
		}
		// A drawing that fails takes nothing away from the execution.
		bar.ChangeMax(max(e.Progress.TotalTasks, 1))
		bar.Describe(fmt.Sprintf("%-22s", cmp.Or(e.Progress.CurrentTask, string(e.Status))))
		_ = bar.Set(e.Progress.CompletedTasks)
		if e.Status.Terminal() {
			if d.Terminal {
				fmt.Fprintln(d.Out)
			}
			return &e, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// show tells how an execution ended: its tasks, and the first rows of what it wrote.
func (d *demo) show(ctx context.Context, e *execution) error {
	if err := d.showTasks(ctx, e.ID); err != nil {
		return err
	}
	m := e.Metrics
	fmt.Fprintf(d.Out, "\n%s is %s: %d rows and %.1f MB read in %.1f s\n",
		e.ID, e.Status, m.RowsProcessed, float64(m.BytesProcessed)/1e6, float64(m.ElapsedMs)/1000)
	if e.Status != models.ExecutionCompleted {
		if e.StatusReason != "" {
			fmt.Fprintf(d.Out, "  %s\n", e.StatusReason)
		}
		if e.Error != nil {
			fmt.Fprintf(d.Out, "  task %s (%s): %s\n", e.Error.Task, e.Error.Class, e.Error.Message)
		}
		return ErrFailed
	}
	return d.showRows(e.ID)
}

type task struct {
	Name      string           `json:"name"`
	Kind      models.TaskKind  `json:"kind"`
	State     models.TaskState `json:"state"`
	RowsIn    int64            `json:"rowsIn"`
	RowsOut   int64            `json:"rowsOut"`
	StartedAt time.Time        `json:"startedAt"`
	EndedAt   time.Time        `json:"endedAt"`
}

func (d *demo) showTasks(ctx context.Context, id string) error {
	var list struct {
		Tasks []task `json:"tasks"`
	}
	if err := d.get(ctx, "/v1/pipelines/executions/"+id+"/tasks", &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\ntask\tkind\tstate\trows in\trows out\ttime\n")
	for _, t := range list.Tasks {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d ms\n",
			t.Name, t.Kind, t.State, t.RowsIn, t.RowsOut, t.EndedAt.Sub(t.StartedAt).Milliseconds())
	}
	return table.Flush()
}

// shownRows is how many rows of the result are printed.
const shownRows = 10

func (d *demo) showRows(execution string) error {
	files, err := filepath.Glob(filepath.Join(d.Results, fmt.Sprintf(resultPattern, execution)))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("the execution completed but wrote no file to %s", d.Results)
	}
	file, err := os.Open(files[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	rows := csv.NewReader(file)
	fmt.Fprintf(d.Out, "\nThe busiest routes, from %s:\n\n", files[0])
	table := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	for range 1 + shownRows { // the header, too
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", files[0], err)
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}
