package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// ApprovalStatus is where the approval of a gate stands.
type ApprovalStatus string

// An approval is PENDING until it is decided or its execution ends.
const (
	ApprovalPending   ApprovalStatus = "PENDING"
	ApprovalApproved  ApprovalStatus = "APPROVED"
	ApprovalRejected  ApprovalStatus = "REJECTED"
	ApprovalCancelled ApprovalStatus = "CANCELLED"
)

// ApprovalStatuses lists every status, the open one first.
var ApprovalStatuses = []ApprovalStatus{ApprovalPending, ApprovalApproved, ApprovalRejected, ApprovalCancelled}

// Approval is the wait of an execution at a gate: a check that failed, or a sink that waits to be
// published. The row that holds it is a projection of the workflow with the same id.
type Approval struct {
	ID          string
	Tenant      TenantID
	ExecutionID string
	PipelineID  string
	Gate        string // the check's or the sink's name
	Status      ApprovalStatus
	// Reason says how it was closed, in words; empty while it is PENDING.
	Reason string
	// Required is how many approvals it needs, Approvals how many it has.
	Required  int
	Approvals int
	// Groups are those of which an approver must be a member of one; empty is anybody who may decide.
	Groups            []string
	AllowSelfApproval bool
	// SubmittedBy started the execution.
	SubmittedBy string
	RequestedAt time.Time
	Deadline    time.Time
	RemindedAt  time.Time // zero until half of the time is over
	ClosedAt    time.Time // zero while it is PENDING
	// Evidence is canonical JSON of an Evidence, and EvidenceHash its SHA-256 in hexadecimal.
	Evidence     json.RawMessage
	EvidenceHash string
	// Decisions are those that counted, in their order.
	Decisions []ApprovalDecision
}

// ApprovalAction is what an audit row of an approval tells.
type ApprovalAction string

// What may happen to an approval besides being requested.
const (
	ActionApproved  ApprovalAction = "APPROVED"
	ActionRejected  ApprovalAction = "REJECTED"
	ActionReminded  ApprovalAction = "REMINDED"
	ActionExpired   ApprovalAction = "EXPIRED"   // nobody decided in time
	ActionCancelled ApprovalAction = "CANCELLED" // the execution ended before
)

// ApprovalDecision is one audit row: who did what when, looking at which evidence.
type ApprovalDecision struct {
	Action       ApprovalAction
	By           string // empty where the service itself acted
	Reason       string
	At           time.Time
	EvidenceHash string
}

// Evidence is what those who decide are shown. It holds either a check's finding or a sink that is
// about to be published.
type Evidence struct {
	Check     string  `json:"check,omitempty"`
	CheckType string  `json:"checkType,omitempty"`
	Rows      int64   `json:"rows"`                // looked at, or about to be published
	Failing   int64   `json:"failing"`             // rows that fail
	Share     float64 `json:"share"`               // Failing / Rows
	Threshold float64 `json:"threshold,omitempty"` // the share that may fail
	Message   string  `json:"message,omitempty"`
	// Sample is up to 10 failing rows, with values as text and masked columns as ***.
	Sample []map[string]*string `json:"sample,omitempty"`

	Sink     string `json:"sink,omitempty"`
	SinkType string `json:"sinkType,omitempty"`
	Mode     string `json:"mode,omitempty"`
	// Checks are the findings of the checks that the sink has passed.
	Checks []EvidenceCheck `json:"checks,omitempty"`
}

// EvidenceCheck is the finding of one check among the evidence for a sink.
type EvidenceCheck struct {
	Check   string  `json:"check"`
	Passed  bool    `json:"passed"`
	Failing int64   `json:"failing"`
	Share   float64 `json:"share"`
	Message string  `json:"message,omitempty"`
}

// maxEvidence bounds canonical evidence, in bytes. Rows of the sample that do not fit are left out.
const maxEvidence = 64 << 10

// Canonical gives the evidence as JSON without insignificant blanks and with the keys of every
// object sorted, at most 64 KiB long, and the SHA-256 of exactly these bytes.
func (e Evidence) Canonical() (doc json.RawMessage, hash string, err error) {
	for {
		if doc, err = canonicalJSON(e); err != nil {
			return nil, "", err
		}
		if len(doc) <= maxEvidence {
			break
		}
		switch {
		case len(e.Sample) > 0:
			e.Sample = slices.Clone(e.Sample[:len(e.Sample)-1])
		case len(e.Checks) > 0:
			e.Checks = slices.Clone(e.Checks[:len(e.Checks)/2])
		default:
			e.Message = ""
		}
	}
	sum := sha256.Sum256(doc)
	return doc, hex.EncodeToString(sum[:]), nil
}

func canonicalJSON(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}
