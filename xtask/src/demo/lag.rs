//! How fast Curfew was, by its own histogram.

/// The histogram of the time from a deadline to the verdict in Flagger's hands.
const METRIC: &str = "curfew_enforcement_lag_seconds";

/// What the histogram says.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// How many verdicts were handed over.
    pub count: u64,
    /// Seconds from their deadlines, added up.
    pub sum: f64,
    /// The smallest bucket that holds all of them, in seconds; infinite if only the last does.
    pub bound: f64,
}

// === impl Lag ===

impl Lag {
    /// Reads it from what Prometheus would read. `None` when it is not there, or empty.
    pub fn parse(metrics: &str) -> Option<Self> {
        let value = |suffix: &str| {
            let name = format!("{METRIC}_{suffix} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name))
        };
        let count: u64 = value("count")?.trim().parse().ok()?;
        let sum = value("sum")?.trim().parse().ok()?;
        let buckets = metrics.lines().filter_map(|line| {
            let (bound, held) = line
                .strip_prefix(METRIC)?
                .strip_prefix("_bucket{le=\"")?
                .split_once("\"} ")?;
            let bound: f64 = bound.trim_start_matches('+').parse().ok()?;
            Some((bound, held.trim().parse::<u64>().ok()?))
        });
        let full = buckets.filter(|(_, held)| *held >= count).map(|(bound, _)| bound);
        let bound = full.fold(f64::INFINITY, f64::min);
        (count > 0).then_some(Self { count, sum, bound })
    }

    /// Seconds, on average.
    #[expect(clippy::cast_precision_loss, reason = "a handful of verdicts")]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE curfew_enforcement_lag_seconds histogram\n\
        curfew_enforcement_lag_seconds_sum 0.075\n\
        curfew_enforcement_lag_seconds_count 2\n\
        curfew_enforcement_lag_seconds_bucket{le=\"0.01\"} 0\n\
        curfew_enforcement_lag_seconds_bucket{le=\"0.05\"} 2\n\
        curfew_enforcement_lag_seconds_bucket{le=\"0.1\"} 2\n\
        curfew_enforcement_lag_seconds_bucket{le=\"+Inf\"} 2\n";

    #[test]
    fn the_histogram_is_read() {
        let lag = Lag::parse(TEXT).unwrap();
        assert_eq!((lag.count, lag.bound), (2, 0.05));
        assert!((lag.mean() - 0.0375).abs() < 1e-9);
    }

    #[test]
    fn what_only_the_last_bucket_holds_has_no_bound() {
        let slow = TEXT.replace("} 2", "} 1").replace("+Inf\"} 1", "+Inf\"} 2");
        assert!(Lag::parse(&slow).unwrap().bound.is_infinite());
    }

    #[test]
    fn an_empty_or_missing_histogram_says_nothing() {
        assert_eq!(Lag::parse(&TEXT.replace("_count 2", "_count 0")), None);
        assert_eq!(Lag::parse(""), None);
    }
}
