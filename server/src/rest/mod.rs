//! The shapes of the REST interface, where they are not those of `domain::view`: times are texts here (RFC 3339, with
//! milliseconds), and what stands in them is promised.

mod event;
mod lists;
mod run;

pub use event::{delta, event};
pub use lists::{
    Found, InboxItem, Message, Role, RunFile, RunSummary, Task, TemplateDetail, TemplateRef, TemplateSummary,
};
pub use run::Run;

use domain::id::Timestamp;
use serde::{Serialize, Serializer};

/// A point in time, written `2026-01-31T12:00:00.000Z`.
pub struct Time(pub Timestamp);

impl Time {
    pub fn text(&self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or_default();
        format!("{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_always() {
        assert_eq!(Time(Timestamp(0)).text(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time(Timestamp(1_767_225_600_120)).text(), "2026-01-01T00:00:00.120Z");
    }
}
