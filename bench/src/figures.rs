//! The measured figures as lines of a table, each with the product's target.

use std::fmt;
use std::time::Duration;

/// One line of the table.
pub struct Figure {
    name: String,
    value: f64,
    unit: Unit,
    target: Option<Target>,
}

/// The unit of a figure, which determines its number of digits.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Milliseconds,
    Seconds,
    PerSecond,
    Megabytes,
    Kilobytes,
}

/// The product's target. Shown, never enforced, because machines differ.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, unit, target: None }
    }

    pub fn milliseconds(name: impl Into<String>, value: Duration) -> Self {
        Self::new(name, value.as_secs_f64() * 1000.0, Unit::Milliseconds)
    }

    pub fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtMost(limit));
        self
    }

    pub fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtLeast(limit));
        self
    }

    /// The figure relative to its target: 2 means twice as good, 0.5 half as good.
    fn ratio(&self) -> Option<f64> {
        match self.target? {
            Target::AtMost(limit) => Some(limit / self.value),
            Target::AtLeast(limit) => Some(self.value / limit),
        }
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Seconds => format!("{value:.2} s"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Kilobytes => format!("{value:.0} KB"),
        }
    }
}

/// Prints name, figure, target, and their ratio.
pub struct Table<'a>(pub &'a [Figure]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
        writeln!(out, "{:width$}  {:>12}  {:>14}  {:>7}", "what", "measured", "to reach", "ratio")?;
        for figure in self.0 {
            let target = match figure.target {
                Some(Target::AtMost(limit)) => format!("<= {}", figure.unit.text(limit)),
                Some(Target::AtLeast(limit)) => format!(">= {}", figure.unit.text(limit)),
                None => String::new(),
            };
            let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let value = figure.unit.text(figure.value);
            writeln!(out, "{:width$}  {value:>12}  {target:>14}  {ratio:>7}", figure.name)?;
        }
        write!(out, "A ratio of 1 is the target reached, 2 is twice as good.")
    }
}

/// Sorted durations, for percentiles.
pub struct Sample(Vec<Duration>);

impl Sample {
    pub fn new(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        Self(values)
    }

    /// The smallest value that at least `percent` of all values do not exceed (nearest rank); zero if there are none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sample = Sample::new((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(sample.percentile(50), Duration::from_millis(100));
        assert_eq!(sample.percentile(99), Duration::from_millis(198));
        assert_eq!(sample.percentile(100), Duration::from_millis(200));
        assert_eq!(Sample::new(vec![Duration::from_secs(3)]).percentile(1), Duration::from_secs(3));
        assert_eq!(Sample::new(Vec::new()).percentile(99), Duration::ZERO);
    }

    #[test]
    fn a_ratio_above_one_is_better_than_the_target_either_way() {
        let memory = Figure::new("memory", 30.0, Unit::Megabytes).at_most(60.0);
        let speed = Figure::new("speed", 1500.0, Unit::PerSecond).at_least(1000.0);
        assert_eq!((memory.ratio(), speed.ratio()), (Some(2.0), Some(1.5)));
        let table = Table(&[memory, speed]).to_string();
        assert!(table.contains("30.0 MB      <= 60.0 MB     2.00"), "{table}");
    }
}
