package models

// OnExceed is what happens when a budget is used up.
type OnExceed string

// alert tells, block tells and refuses executions until the month is over.
const (
	ExceedAlert OnExceed = "alert"
	ExceedBlock OnExceed = "block"
)

// Budget is what executions that end in a calendar month (UTC) may cost together. The zero value is no
// budget.
type Budget struct {
	MonthlyMicros int64 // millionths of a dollar
	OnExceed      OnExceed
}

// UsedUp reports whether nothing is left of the budget once so much is spent.
func (b Budget) UsedUp(spentMicros int64) bool {
	return b.MonthlyMicros > 0 && spentMicros >= b.MonthlyMicros
}
