package auth

import "slices"

// Scope is a permission an operation may ask for.
type Scope string

// The scopes. Public marks the operations that ask for no token at all; no token holds it.
const (
	Public           Scope = "public"
	ScopeRead        Scope = "pipelines:read"    // every GET
	ScopeExecute     Scope = "pipelines:execute" // execute, trigger, cancel
	ScopeWrite       Scope = "pipelines:write"   // pipelines, schedules, templates
	ScopeConnections Scope = "connections:write" // create, test, delete
	ScopeDecide      Scope = "approvals:decide"  // the approval signal
	ScopeWorkflows   Scope = "workflows:operate" // other signals, workflow cancel
	ScopeAirflow     Scope = "airflow:operate"   // trigger, pause, unpause
	ScopeAlerts      Scope = "alerts:write"      // acknowledge
	ScopeAudit       Scope = "audit:read"        // who changed what
)

// Scopes lists every scope a token may hold.
var Scopes = []Scope{
	ScopeRead, ScopeExecute, ScopeWrite, ScopeConnections,
	ScopeDecide, ScopeWorkflows, ScopeAirflow, ScopeAlerts, ScopeAudit,
}

// Role is a bundle of scopes, named in the claim roles.
type Role string

// The roles.
const (
	RoleViewer       Role = "VIEWER"
	RoleDataAnalyst  Role = "DATA_ANALYST"
	RoleDataEngineer Role = "DATA_ENGINEER"
	RoleDataSteward  Role = "DATA_STEWARD"
	RoleOperator     Role = "OPERATOR"
	RoleAdmin        Role = "ADMIN"
)

// Roles says which scopes each role holds.
var Roles = map[Role][]Scope{
	RoleViewer:       {ScopeRead},
	RoleDataAnalyst:  {ScopeRead, ScopeExecute},
	RoleDataEngineer: {ScopeRead, ScopeExecute, ScopeWrite, ScopeConnections, ScopeAlerts},
	RoleDataSteward:  {ScopeRead, ScopeDecide},
	RoleOperator:     {ScopeRead, ScopeExecute, ScopeWorkflows, ScopeAirflow, ScopeAlerts},
	RoleAdmin:        Scopes,
}

// RolesWith lists the roles that hold a scope, sorted.
func RolesWith(scope Scope) []string {
	var names []string
	for role, scopes := range Roles {
		if slices.Contains(scopes, scope) {
			names = append(names, string(role))
		}
	}
	slices.Sort(names)
	return names
}
