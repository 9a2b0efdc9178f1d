package cost

import (
	"math/big"
	"slices"
	"time"

	"github.com/matih/pipeline-service/models"
)

// Parts are the parts of a cost in millionths of a dollar.
type Parts struct {
	ComputeMicros int64 `json:"computeMicros"` // processor time and memory
	StorageMicros int64 `json:"storageMicros"` // staged and quarantined data for as long as they are kept
	NetworkMicros int64 `json:"networkMicros"`
}

// Total is the sum of the parts.
func (p Parts) Total() int64 { return p.ComputeMicros + p.StorageMicros + p.NetworkMicros }

// Add takes over other parts.
func (p *Parts) Add(o Parts) {
	p.ComputeMicros += o.ComputeMicros
	p.StorageMicros += o.StorageMicros
	p.NetworkMicros += o.NetworkMicros
}

// Minus returns the difference to other parts.
func (p Parts) Minus(o Parts) Parts {
	return Parts{p.ComputeMicros - o.ComputeMicros, p.StorageMicros - o.StorageMicros, p.NetworkMicros - o.NetworkMicros}
}

// Task is what the attempts of a task used and cost.
type Task struct {
	Parts
	Name     string `json:"task"`
	Attempts int64  `json:"attempts"` // of which is known what they used
	// CPUMicros to NetworkBytes are what the attempts used together; PeakMemoryBytes is the highest of them.
	CPUMicros         int64 `json:"cpuMicros"`
	MemoryByteSeconds int64 `json:"memoryByteSeconds"`
	StorageByteHours  int64 `json:"storageByteHours"`
	NetworkBytes      int64 `json:"networkBytes"`
	PeakMemoryBytes   int64 `json:"peakMemoryBytes"`
}

// Merge takes over what the same task used and cost elsewhere.
func (t *Task) Merge(o Task) {
	t.Name = o.Name
	t.Add(o.Parts)
	t.Attempts += o.Attempts
	t.CPUMicros += o.CPUMicros
	t.MemoryByteSeconds += o.MemoryByteSeconds
	t.StorageByteHours += o.StorageByteHours
	t.NetworkBytes += o.NetworkBytes
	t.PeakMemoryBytes = max(t.PeakMemoryBytes, o.PeakMemoryBytes)
}

// Retention is how long data outlive their execution.
type Retention struct {
	Staging    time.Duration
	Quarantine time.Duration // at least as long as Staging counts
}

// Charge is what an execution costs. The parts of its tasks add up to its own, each of them exactly.
type Charge struct {
	Parts
	Tasks []Task // in the order of the first attempt of each
}

// Of charges an execution for what its attempts used. Stored data are charged until retention will have removed them, counted
// from ended, the execution's end.
//
// Quantities and prices are integers, and products of them are kept exact until each part of the execution is
// rounded once to millionths of a dollar, half to even. Each task gets its own share rounded down; the rest goes by
// largest remainder, to the earlier task among equals.
func Of(rate Rate, attempts []models.AttemptUsage, keep Retention, ended time.Time) Charge {
	var c Charge
	var shares [3][]*big.Int // of each part, by task
	index := map[string]int{}
	for _, a := range attempts {
		i, known := index[a.Task]
		if !known {
			i = len(c.Tasks)
			index[a.Task] = i
			c.Tasks = append(c.Tasks, Task{Name: a.Task})
			for part := range shares {
				shares[part] = append(shares[part], new(big.Int))
			}
		}
		q := measure(a, keep, ended)
		c.Tasks[i].add(a.Usage, q)
		shares[0][i].Add(shares[0][i], q.compute(rate))
		shares[1][i].Add(shares[1][i], product(q.byteMicros, int64(rate.StorageGBHour)))
		shares[2][i].Add(shares[2][i], product(big.NewInt(a.NetworkBytes), int64(rate.NetworkGB)))
	}
	compute, storage, network := apportion(shares[0], computeUnit), apportion(shares[1], storageUnit), apportion(shares[2], networkUnit)
	for i := range c.Tasks {
		c.Tasks[i].Parts = Parts{compute[i], storage[i], network[i]}
		c.Add(c.Tasks[i].Parts)
	}
	return c
}

// How much of each product is a millionth of a dollar: prices are in 1e-12 USD; CPU time in microseconds counts as bytes
// of a GB, which is 1e9, so that both of compute add up.
var (
	computeUnit = product(big.NewInt(1e9*1e6), 1e6)      // byte·µs a GB·s
	storageUnit = product(big.NewInt(1e9), 3600*1e6*1e6) // byte·µs a GB·h
	networkUnit = big.NewInt(1e9 * 1e6)                  // bytes a GB
)

// quantities are an attempt's products of amount and time.
type quantities struct {
	cpuMicros        int64
	memoryByteMicros *big.Int
	byteMicros       *big.Int // stored
}

func measure(a models.AttemptUsage, keep Retention, ended time.Time) quantities {
	held := max(ended.Sub(a.EndedAt), 0)
	stored := product(big.NewInt(a.StagedBytes), (held + keep.Staging).Microseconds())
	stored.Add(stored, product(big.NewInt(a.QuarantinedBytes), (held+max(keep.Quarantine, keep.Staging)).Microseconds()))
	return quantities{a.CPUMicros, product(big.NewInt(a.MeanMemoryBytes), a.WallMicros), stored}
}

func (q quantities) compute(rate Rate) *big.Int {
	cpu := product(product(big.NewInt(q.cpuMicros), 1e9), int64(rate.CPUSecond))
	return cpu.Add(cpu, product(q.memoryByteMicros, int64(rate.MemoryGBSecond)))
}

// add takes over what an attempt used, rounded down.
func (t *Task) add(u models.Usage, q quantities) {
	t.Attempts++
	t.CPUMicros += u.CPUMicros
	t.MemoryByteSeconds += new(big.Int).Quo(q.memoryByteMicros, big.NewInt(1e6)).Int64()
	t.StorageByteHours += new(big.Int).Quo(q.byteMicros, big.NewInt(3600*1e6)).Int64()
	t.NetworkBytes += u.NetworkBytes
	t.PeakMemoryBytes = max(t.PeakMemoryBytes, u.PeakMemoryBytes)
}

func product(a *big.Int, b int64) *big.Int { return new(big.Int).Mul(a, big.NewInt(b)) }

// apportion rounds the sum of shares to whole units and shares those out: see Of.
func apportion(shares []*big.Int, unit *big.Int) []int64 {
	sum := new(big.Int)
	whole := make([]int64, len(shares))
	rests := make([]*big.Int, len(shares))
	order := make([]int, len(shares))
	var given int64
	for i, share := range shares {
		sum.Add(sum, share)
		quotient, rest := new(big.Int).QuoRem(share, unit, new(big.Int))
		whole[i], rests[i], order[i] = quotient.Int64(), rest, i
		given += whole[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return rests[b].Cmp(rests[a]) })
	for _, i := range order[:roundHalfEven(sum, unit)-given] {
		whole[i]++
	}
	return whole
}

// roundHalfEven divides amounts that are not negative.
func roundHalfEven(n, unit *big.Int) int64 {
	quotient, rest := new(big.Int).QuoRem(n, unit, new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(unit) {
	case 1:
		return quotient.Int64() + 1
	case 0:
		return quotient.Int64() + quotient.Int64()%2
	default:
		return quotient.Int64()
	}
}

// Mean is a sum shared by n, rounded half to even; 0 for none.
func Mean(sumMicros, n int64) int64 {
	if n == 0 {
		return 0
	}
	return roundHalfEven(big.NewInt(sumMicros), big.NewInt(n))
}
