package models

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of failure for programs. Codes are part of the API: they never change meaning.
type Code string

// The codes users may meet. The API's table maps each to an HTTP status.
const (
	CodeInvalidRequest        Code = "invalid_request"
	CodeInvalidDefinition     Code = "invalid_definition"
	CodeInvalidParameters     Code = "invalid_parameters"
	CodeInvalidTenant         Code = "invalid_tenant"
	CodeUnauthenticated       Code = "unauthenticated"
	CodeForbidden             Code = "forbidden"
	CodeNotFound              Code = "not_found"
	CodeMethodNotAllowed      Code = "method_not_allowed"
	CodeNameTaken             Code = "name_taken"
	CodePipelineRunning       Code = "pipeline_already_running"
	CodePipelinePaused        Code = "pipeline_paused"
	CodeExecutionClosed       Code = "execution_closed"
	CodeWorkflowClosed        Code = "workflow_closed"
	CodeApprovalClosed        Code = "approval_closed"
	CodeAlreadyDecided        Code = "already_decided"
	CodeSelfApproval          Code = "self_approval"
	CodeNothingWaiting        Code = "nothing_waiting"
	CodeSeveralWaiting        Code = "several_waiting"
	CodeExecutionRunning      Code = "execution_running"
	CodeAlertResolved         Code = "alert_resolved"
	CodeBackfillClosed        Code = "backfill_closed"
	CodeBackfillOpen          Code = "backfill_open"
	CodeBudgetExceeded        Code = "budget_exceeded"
	CodeStagedDataExpired     Code = "staged_data_expired"
	CodeIdempotencyKeyReused  Code = "idempotency_key_reused"
	CodeIdempotencyInProgress Code = "idempotency_in_progress"
	CodePreconditionFailed    Code = "precondition_failed"
	CodeBodyTooLarge          Code = "body_too_large"
	CodeRequestTimeout        Code = "request_timeout"
	CodeUnsupportedMediaType  Code = "unsupported_media_type"
	CodeRateLimited           Code = "rate_limited"
	CodeQuotaExceeded         Code = "quota_exceeded"
	CodeAirflowNotConfigured  Code = "airflow_not_configured"
	CodeUnavailable           Code = "unavailable"
	CodeConflict              Code = "conflict"
	CodeInternal              Code = "internal"
)

// Mistake is one thing wrong with a request or a definition.
type Mistake struct {
	// Location is a path such as body.definition.transformations[0].sql.
	Location string `json:"location"`
	// Message says what is wrong and, where it can, what would be right.
	Message string `json:"message"`
}

// Error is a failure with a code. Its message is meant for users and holds no internal detail;
// Cause is for the log.
type Error struct {
	Code     Code
	Message  string
	Mistakes []Mistake
	// RetryAfter is how long a client should wait before it asks again; 0 says nothing.
	RetryAfter time.Duration
	// IDs names the resources in the way, such as the running executions of a 409.
	IDs   []string
	Cause error
}

// Errorf makes an Error of a code and a user-facing message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error gives the message and the first mistakes.
func (e *Error) Error() string {
	msg := string(e.Code) + ": " + e.Message
	for i, m := range e.Mistakes {
		if i == 3 {
			return fmt.Sprintf("%s (and %d more)", msg, len(e.Mistakes)-i)
		}
		msg += fmt.Sprintf("; %s: %s", m.Location, m.Message)
	}
	if e.Cause != nil {
		msg += ": " + e.Cause.Error()
	}
	return msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the first Error in err's chain, CodeInternal for any other error
// and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// NotFound is the answer for everything a tenant does not have, whether it exists or not.
func NotFound(kind string) *Error {
	return Errorf(CodeNotFound, "there is no such %s", kind)
}
