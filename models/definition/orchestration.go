package definition

import "github.com/matih/pipeline-service/models"

type orchestrationDoc struct {
	Engine           models.Engine     `json:"engine" jsonschema:"enum=temporal,enum=airflow" jsonschema_description:"What runs the tasks; the service's default unless given."`
	DagID            string            `json:"dag_id" jsonschema:"minLength=1" jsonschema_description:"The id of the DAG, for engine airflow."`
	RetryPolicy      retryPolicyDoc    `json:"retry_policy"`
	Timeout          Duration          `json:"timeout" jsonschema_description:"Of the execution; 1d unless given."`
	TaskTimeout      Duration          `json:"task_timeout" jsonschema_description:"Of one attempt of a task; 2h unless given."`
	MaxActiveRuns    int               `json:"max_active_runs" jsonschema:"minimum=1,maximum=1000,default=1" jsonschema_description:"How many executions may be under way at once."`
	MaxParallelTasks int               `json:"max_parallel_tasks" jsonschema:"minimum=1,maximum=1000,default=4" jsonschema_description:"How many tasks of an execution run at once."`
	Approval         approvalDoc       `json:"approval"`
	SLA              *slaDoc           `json:"sla"`
	Notifications    []notificationDoc `json:"notifications"`
	Budget           *budgetDoc        `json:"budget"`
}

type retryPolicyDoc struct {
	MaxAttempts        int      `json:"max_attempts" jsonschema:"minimum=1,maximum=100,default=3"`
	InitialInterval    Duration `json:"initial_interval" jsonschema_description:"Before the second attempt; 1s unless given."`
	BackoffCoefficient float64  `json:"backoff_coefficient" jsonschema:"minimum=1,maximum=10,default=2" jsonschema_description:"By how much the interval grows with each attempt."`
	MaxInterval        Duration `json:"max_interval" jsonschema_description:"The interval's bound; 5m unless given."`
}

type approvalDoc struct {
	Timeout           Duration `json:"timeout" jsonschema_description:"How long a gate waits; 1d unless given."`
	OnTimeout         string   `json:"on_timeout" jsonschema:"enum=reject,enum=approve,default=reject" jsonschema_description:"What happens then."`
	Required          int      `json:"required" jsonschema:"minimum=1,maximum=100,default=1" jsonschema_description:"How many approvals a gate needs."`
	Groups            []string `json:"groups" jsonschema:"minLength=1" jsonschema_description:"Groups of which an approver must be a member; any steward unless given."`
	AllowSelfApproval bool     `json:"allow_self_approval" jsonschema_description:"Whether whoever started the execution may approve."`
	Before            []string `json:"before" jsonschema:"minLength=1" jsonschema_description:"Sinks that wait for an approval."`
	Mask              []string `json:"mask" jsonschema:"minLength=1" jsonschema_description:"Columns hidden in the evidence."`
}

type slaDoc struct {
	MaxDuration Duration `json:"max_duration" jsonschema_description:"How long an execution may take."`
	Freshness   Duration `json:"freshness" jsonschema_description:"How old the last COMPLETED execution may be."`
}

type notificationDoc struct {
	On      []string `json:"on" jsonschema:"required,minItems=1,enum=started,enum=completed,enum=failed,enum=cancelled,enum=approval_requested,enum=quality_check_failed,enum=sla_missed"`
	Webhook string   `json:"webhook" jsonschema:"required,minLength=1" jsonschema_description:"An http or https URL."`
}

type budgetDoc struct {
	MonthlyUSD USD             `json:"monthly_usd" jsonschema:"required" jsonschema_description:"What the executions that end in a calendar month (UTC) may cost together."`
	OnExceed   models.OnExceed `json:"on_exceed" jsonschema:"enum=alert,enum=block,default=alert" jsonschema_description:"What happens when that is used up: alert tells, block refuses executions, too."`
}

func (b *builder) orchestration(doc orchestrationDoc, at *path) Orchestration {
	o := Orchestration{
		Engine: doc.Engine, DagID: doc.DagID,
		RetryPolicy: b.retryPolicy(doc.RetryPolicy, at.at("retry_policy")),
		Timeout:     orElse(doc.Timeout, DefaultTimeout), TaskTimeout: orElse(doc.TaskTimeout, DefaultTaskTimeout),
		MaxActiveRuns:    orElse(doc.MaxActiveRuns, DefaultMaxActiveRuns),
		MaxParallelTasks: orElse(doc.MaxParallelTasks, DefaultMaxParallelTasks),
		Approval:         b.approval(doc.Approval, at.at("approval")),
	}
	if doc.DagID != "" && doc.Engine == models.EngineTemporal {
		b.add(at.at("dag_id"), "is for engine airflow")
	}
	if o.TaskTimeout > o.Timeout {
		if doc.TaskTimeout != 0 {
			b.add(at.at("task_timeout"), "must not be longer than the execution's timeout, %v", o.Timeout)
		}
		o.TaskTimeout = o.Timeout
	}
	if doc.SLA != nil {
		o.SLA = &SLA{MaxDuration: doc.SLA.MaxDuration, Freshness: doc.SLA.Freshness}
	}
	if doc.Budget != nil {
		o.Budget = &Budget{MonthlyUSD: doc.Budget.MonthlyUSD, OnExceed: orElse(doc.Budget.OnExceed, models.ExceedAlert)}
	}
	for i, n := range doc.Notifications {
		b.distinct(n.On, at.at("notifications").item(i).at("on"))
		o.Notifications = append(o.Notifications, Notification(n))
	}
	return o
}

func (b *builder) retryPolicy(doc retryPolicyDoc, at *path) RetryPolicy {
	p := RetryPolicy{
		MaxAttempts:        orElse(doc.MaxAttempts, DefaultMaxAttempts),
		InitialInterval:    orElse(doc.InitialInterval, DefaultInitialInterval),
		BackoffCoefficient: orElse(doc.BackoffCoefficient, DefaultBackoffCoefficient),
		MaxInterval:        orElse(doc.MaxInterval, DefaultMaxInterval),
	}
	if p.MaxInterval < p.InitialInterval {
		if doc.MaxInterval != 0 {
			b.add(at.at("max_interval"), "must not be shorter than initial_interval, %v", p.InitialInterval)
		}
		p.MaxInterval = p.InitialInterval
	}
	return p
}

func (b *builder) approval(doc approvalDoc, at *path) Approval {
	for i, name := range doc.Before {
		step, known := b.steps[name]
		switch {
		case name == "":
		case !known:
			b.add(at.at("before").item(i), "there is no sink %s%s", quote(name), b.suggestStep(name))
		case step.kind != models.TaskSink:
			b.add(at.at("before").item(i), "%s is a %s, not a sink", name, kindWords(step.kind))
		}
	}
	b.distinct(doc.Groups, at.at("groups"))
	b.distinct(doc.Before, at.at("before"))
	b.distinct(doc.Mask, at.at("mask"))
	return Approval{
		Timeout: orElse(doc.Timeout, DefaultApprovalTimeout), OnTimeout: orElse(doc.OnTimeout, "reject"),
		Required: orElse(doc.Required, 1), Groups: doc.Groups, AllowSelfApproval: doc.AllowSelfApproval,
		Before: doc.Before, Mask: doc.Mask,
	}
}

// orElse gives the value, or the fallback where it is zero, which no document can say.
func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
