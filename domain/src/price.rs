//! Prices and costs of models. Money is always a whole number: prices are given in dollars per million tokens, and a
//! call's cost is computed once, when its usage is recorded, at the price that was valid when its run started.

use crate::usage::Usage;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Billionths of a US dollar: a token of the cheapest models costs a few dozen of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub u64);

/// Price of a model per million tokens of the prompt (`input`) and of the answer (`output`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    pub input: Rate,
    pub output: Rate,
}

/// Millionths of a US dollar per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give US dollars per million tokens, such as 0.15, with at most 6 decimals")]
pub struct NotARate;

impl Rate {
    /// Upper limit: above the price of any model, and low enough that no computation overflows.
    const MOST: u64 = 1_000_000 * 1_000_000;

    /// Parses an amount of dollars.
    ///
    /// # Errors
    /// The text is anything but digits with at most six decimals, up to a million dollars.
    pub fn parse(text: &str) -> Result<Self, NotARate> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let long = whole.len() > 7 || part.len() > 6 || (whole.is_empty() && part.is_empty());
        if long || !digits(whole) || !digits(part) {
            return Err(NotARate);
        }
        let number =
            |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u64>().map_err(|_| NotARate) };
        let micros = number(whole)? * 1_000_000 + number(&format!("{part:0<6}"))?;
        if micros <= Self::MOST { Ok(Self(micros)) } else { Err(NotARate) }
    }
}

/// In dollars, in the format that [`Rate::parse`] reads.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, 6)
    }
}

/// In dollars, without rounding.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, 9)
    }
}

fn decimal(f: &mut fmt::Formatter<'_>, value: u64, places: u32) -> fmt::Result {
    let one = 10_u64.pow(places);
    let part = format!("{:0places$}", value % one, places = places as usize);
    match part.trim_end_matches('0') {
        "" => write!(f, "{}", value / one),
        part => write!(f, "{}.{part}", value / one),
    }
}

impl Price {
    /// The cost of `usage`, rounded to the nearest billionth.
    pub fn of(self, usage: Usage) -> Money {
        let part = |tokens: u64, Rate(rate): Rate| u128::from(tokens) * u128::from(rate);
        let thousandths = part(usage.input_tokens, self.input) + part(usage.output_tokens, self.output);
        Money(u64::try_from((thousandths + 500) / 1_000).unwrap_or(u64::MAX))
    }
}

impl Money {
    /// `$12.40`, `$0.013`, `$0.00042`: rounded, with enough digits to differ from zero.
    pub fn short(self) -> String {
        const DOLLAR: u64 = 1_000_000_000;
        let rounded = |unit: u64| (self.0.saturating_add(unit / 2)) / unit * unit;
        match self.0 {
            0 => "$0".to_owned(),
            DOLLAR.. => {
                let cents = self.0.saturating_add(DOLLAR / 200) / (DOLLAR / 100);
                format!("${}.{:02}", cents / 100, cents % 100)
            }
            small => {
                // Two significant digits.
                let unit = 10_u64.pow(small.ilog10().saturating_sub(1));
                format!("${}", Self(rounded(unit)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, micros) in
            [("0.15", 150_000), ("2", 2_000_000), (".5", 500_000), ("0", 0), ("1.", 1_000_000)]
        {
            assert_eq!(Rate::parse(text), Ok(Rate(micros)), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "0.1234567", "12345678", "1,5", "٣"] {
            assert_eq!(Rate::parse(text), Err(NotARate), "{text}");
        }
        assert_eq!(Rate(150_000).to_string(), "0.15");
        assert_eq!(Rate(2_000_000).to_string(), "2");
    }

    #[test]
    fn a_call_costs_what_its_tokens_do() {
        let price = Price { input: Rate(150_000), output: Rate(600_000) };
        assert_eq!(price.of(Usage::new(1_000_000, 1_000_000)).to_string(), "0.75");
        assert_eq!(price.of(Usage::new(1, 0)), Money(150));
        let dear = Price { input: Rate(Rate::MOST), output: Rate(Rate::MOST) };
        assert_eq!(dear.of(Usage::new(u64::MAX, u64::MAX)), Money(u64::MAX));
    }

    #[test]
    fn little_money_is_told_from_none() {
        let words = [0, 150, 42_000, 13_400_000, 999_600_000, 12_400_000_000].map(|nano| Money(nano).short());
        assert_eq!(words, ["$0", "$0.00000015", "$0.000042", "$0.013", "$1", "$12.40"]);
    }
}
