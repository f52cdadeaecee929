//! The tokens that a model call used, as the provider counts them.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::price::{Money, Price};

/// Input and output tokens. Addition saturates: an absurd number from a provider must not stop a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens of the prompt, including cached ones.
    pub input_tokens: u64,
    /// Tokens of the answer, including reasoning tokens.
    pub output_tokens: u64,
    /// The cost of the tokens. `None` if some of them have no price: the cost is then unknown, not estimated and not
    /// 0.
    #[serde(rename = "costNanoUsd", default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

impl Usage {
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, cost: None }
    }

    /// The same tokens with their cost at `price`. The cost is unknown if the provider counted no tokens.
    pub fn at(self, price: Option<Price>) -> Self {
        let cost = price.filter(|_| self.total() > 0).map(|price| price.of(self));
        Self { cost, ..self }
    }

    pub fn is_none(&self) -> bool {
        self.total() == 0
    }

    pub fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        // No usage costs nothing; usage without a price makes the sum unknown.
        let cost = match (self.cost, other.cost) {
            (Some(Money(one)), Some(Money(more))) => Some(Money(one.saturating_add(more))),
            (cost, None) if other.total() == 0 => cost,
            (None, cost) if self.total() == 0 => cost,
            _ => None,
        };
        Self {
            cost,
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
    use crate::price::{Money, Price, Rate};

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

    #[test]
    fn a_sum_knows_its_cost_only_when_all_of_it_has_one() {
        let price = Price { input: Rate(1_000_000), output: Rate(2_000_000) };
        let priced = Usage::new(10, 5).at(Some(price));
        assert_eq!(priced.cost, Some(Money(20_000)));
        assert_eq!((priced + Usage::default() + priced).cost, Some(Money(40_000)));
        assert_eq!((priced + Usage::new(1, 0) + priced).cost, None);
        assert_eq!(Usage::default().at(Some(price)).cost, None);
        let json = serde_json::to_value(priced).unwrap();
        assert_eq!(json["costNanoUsd"], 20_000);
    }
}
