//! What a model call consumed, in tokens as the provider counts them.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Tokens read and written. Adding saturates: a provider's nonsense number must not stop a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answer, thinking included.
    pub output_tokens: u64,
}

impl Usage {
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens }
    }

    pub fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn sums_saturate_and_travel_in_camel_case() {
        let sum: Usage = [Usage::new(1, 2), Usage::new(u64::MAX, 3)].into_iter().sum();
        assert_eq!(sum, Usage::new(u64::MAX, 5));
        assert_eq!(sum.total(), u64::MAX);
        assert_eq!(
            serde_json::to_value(Usage::new(1, 2)).unwrap(),
            serde_json::json!({"inputTokens": 1, "outputTokens": 2})
        );
    }
}
