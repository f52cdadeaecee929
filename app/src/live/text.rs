//! The text of an attempt while it streams, assembled from deltas that may repeat, overlap or leave a gap.
//!
//! Invariant: the text is a prefix of the attempt's text, without repetition.

use domain::event::Delta;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveText {
    /// 0 before the first delta.
    pub attempt: u32,
    pub text: String,
}

/// The effect of a delta on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Added,
    /// Nothing new: the text was already present, or belongs to an earlier attempt.
    Repeat,
    /// Text between the current end and the delta is missing; the text is unchanged.
    Gap,
}

impl LiveText {
    pub fn append(&mut self, delta: &Delta) -> Appended {
        if delta.attempt < self.attempt {
            return Appended::Repeat;
        }
        if delta.attempt > self.attempt {
            *self = Self { attempt: delta.attempt, text: String::new() };
        }
        let Some(known) = self.text.len().checked_sub(delta.offset as usize) else {
            return Appended::Gap;
        };
        match delta.text.get(known..) {
            Some("") | None => Appended::Repeat,
            Some(new) => {
                self.text.push_str(new);
                Appended::Added
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::StepRunId;

    fn delta(attempt: u32, offset: u64, text: &str) -> Delta {
        Delta { step: StepRunId::of(0), attempt, offset, text: text.to_owned() }
    }

    #[test]
    fn each_character_shows_once() {
        let mut live = LiveText::default();
        for (given, did, shown) in [
            (delta(1, 0, "Hé"), Appended::Added, "Hé"),
            (delta(1, 3, "llo"), Appended::Added, "Héllo"),
            (delta(1, 3, "llo"), Appended::Repeat, "Héllo"),
            (delta(1, 1, "éllo wor"), Appended::Added, "Héllo wor"),
            (delta(1, 12, "!"), Appended::Gap, "Héllo wor"),
            (delta(1, 0, "Héllo world!"), Appended::Added, "Héllo world!"),
            (delta(2, 4, "x"), Appended::Gap, ""),
            (delta(2, 0, "Again"), Appended::Added, "Again"),
            (delta(1, 13, "late"), Appended::Repeat, "Again"),
        ] {
            assert_eq!(live.append(&given), did, "{given:?}");
            assert_eq!(live.text, shown, "{given:?}");
        }
    }
}
