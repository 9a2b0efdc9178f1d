package lineage

import "strings"

// valueNames are the names without parentheses that stand for a value where no column has them.
var valueNames = []string{
	"current_catalog", "current_database", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
	"current_user", "localtime", "localtimestamp", "session_user", "user",
}

// lambdaFunctions take a lambda as an argument.
var lambdaFunctions = set(`apply array_apply array_filter array_reduce array_transform filter list_apply list_filter list_reduce
	list_transform reduce`)

// aggregateFunctions are DuckDB's: asking it for them would take longer than many a task. The last line are macros that
// hold an aggregate.
var aggregateFunctions = set(`
	any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
	arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count
	count_if count_star countif covar_pop covar_samp cume_dist dense_rank entropy favg fill first first_value fsum group_concat
	histogram histogram_exact kahan_sum kurtosis kurtosis_pop lag last last_value lead list listagg mad max max_by mean median min
	min_by mode nth_value ntile percent_rank product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy
	regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number sem skewness stddev
	stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance
	geomean geometric_mean json_group_array json_group_object json_group_structure wavg weighted_avg`)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(words) {
		out[word] = true
	}
	return out
}
