//! Times, durations and counts in readable form.
//!
//! The server renders the exact UTC time; the browser replaces it with a local, relative time in an effect, so that
//! hydration matches. One clock ticks for the whole page.

use std::time::Duration;

use domain::id::Timestamp;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `820 ms`, `8.2 s`, `3 m 10 s`, `2 h 5 m`, `3 d 4 h`.
pub fn format_duration(milliseconds: u64) -> String {
    match milliseconds {
        0..SECOND => format!("{milliseconds} ms"),
        // Truncated, not rounded: 59.96 s must not read as 60.0 s.
        SECOND..MINUTE => format!("{}.{} s", milliseconds / SECOND, milliseconds % SECOND / 100),
        MINUTE..HOUR => format!("{} m {} s", milliseconds / MINUTE, milliseconds % MINUTE / SECOND),
        HOUR..DAY => format!("{} h {} m", milliseconds / HOUR, milliseconds % HOUR / MINUTE),
        _ => format!("{} d {} h", milliseconds / DAY, milliseconds % DAY / HOUR),
    }
}

/// `812`, `1.4k`, `12k`, `1.2M`.
pub fn format_count(count: u64) -> String {
    let short = |unit: u64, letter: char| {
        let tenths = count * 10 / unit;
        if tenths >= 100 || tenths.is_multiple_of(10) {
            format!("{}{letter}", tenths / 10)
        } else {
            format!("{}.{}{letter}", tenths / 10, tenths % 10)
        }
    };
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => short(1_000, 'k'),
        _ => short(1_000_000, 'M'),
    }
}

/// `214 B`, `1.4 kB`, `3 MB`.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes / (unit / 10);
    if tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// A date and time of day in UTC, from the number of days by Howard Hinnant's `civil_from_days`.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
}

impl Civil {
    fn from(at: Timestamp) -> Self {
        let (days, rest) = (at.0.div_euclid(86_400_000), at.0.rem_euclid(86_400_000));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month).unwrap_or(1),
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1_000 % 60,
            milli: rest % 1_000,
        }
    }
}

/// RFC 3339 in UTC: `2026-11-21T04:37:40.120Z`.
pub fn format_iso(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second, milli } = Civil::from(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The server's format: `21 Nov, 04:37`, in UTC.
fn format_stable(at: Timestamp) -> String {
    let Civil { month, day, hour, minute, .. } = Civil::from(at);
    format!("{day} {}, {hour:02}:{minute:02}", MONTHS[(month - 1) % 12])
}

/// The full time for server-only HTML: `21 Nov 2026, 04:37:40 UTC`. [`tell_times`] converts it to the reader's time
/// zone.
pub fn format_utc(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::from(at);
    format!("{day} {} {year}, {hour:02}:{minute:02}:{second:02} UTC", MONTHS[(month - 1) % 12])
}

/// Converts every `<time>` in this part of a page to the reader's time zone, and names the zone, since the page may be
/// printed.
pub fn tell_times(part: &web_sys::Element) {
    let Ok(times) = part.query_selector_all("time[datetime]") else { return };
    let options = js_sys::Object::new();
    // Fails only for frozen objects.
    _ = js_sys::Reflect::set(&options, &"timeZoneName".into(), &"short".into());
    for time in (0..times.length()).filter_map(|at| times.get(at)?.dyn_into::<web_sys::Element>().ok()) {
        let date = js_sys::Date::new(&time.get_attribute("datetime").unwrap_or_default().into());
        if !date.get_time().is_nan() {
            time.set_text_content(date.to_locale_string("default", &options).as_string().as_deref());
        }
    }
}

/// `just now`, `5 m ago`, `3 h ago`, `2 d ago`; `None` beyond a week, where the date is more useful.
fn format_relative(at: Timestamp, now: Timestamp) -> Option<String> {
    match now.since(at) {
        0..MINUTE => Some("just now".into()),
        age @ MINUTE..HOUR => Some(format!("{} m ago", age / MINUTE)),
        age @ HOUR..DAY => Some(format!("{} h ago", age / HOUR)),
        age if age < 7 * DAY => Some(format!("{} d ago", age / DAY)),
        _ => None,
    }
}

/// The browser's clock: `None` on the server and until hydration is complete.
#[derive(Clone, Copy)]
pub struct Clock {
    second: RwSignal<Option<Timestamp>>,
    half_minute: RwSignal<Option<Timestamp>>,
}

impl Clock {
    /// Call once per page, in `App`.
    pub fn provide() {
        let clock = Self { second: RwSignal::new(None), half_minute: RwSignal::new(None) };
        provide_context(clock);
        Effect::new(move |_| {
            clock.tick();
            if let Ok(ticking) = set_interval_with_handle(move || clock.tick(), Duration::from_secs(1)) {
                on_cleanup(move || ticking.clear());
            }
        });
    }

    fn tick(self) {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for 280,000 years")]
        let now = Timestamp(js_sys::Date::now() as i64);
        self.second.set(Some(now));
        let stale = |last: Option<Timestamp>| last.is_none_or(|last| now.since(last) >= 30 * SECOND);
        if stale(self.half_minute.get_untracked()) {
            self.half_minute.set(Some(now));
        }
    }

    /// The current time, to the second.
    pub fn second(self) -> Option<Timestamp> {
        self.second.get()
    }
}

pub fn use_clock() -> Clock {
    expect_context()
}

fn local(at: Timestamp) -> js_sys::Date {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let milliseconds = at.0 as f64;
    js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(milliseconds))
}

/// The full time, in the reader's time zone once the clock ticks.
fn exact(at: Timestamp, clock: Clock) -> String {
    match clock.half_minute.get() {
        None => format_iso(at),
        Some(_) => local(at).to_locale_string("default", &wasm_bindgen::JsValue::UNDEFINED).into(),
    }
}

/// When something happened: relative, with the exact time on hover.
#[component]
pub fn RelativeTime(#[prop(into)] at: Signal<Timestamp>) -> impl IntoView {
    let clock = use_clock();
    let text = move || {
        let at = at.get();
        match clock.half_minute.get() {
            None => format_stable(at),
            Some(now) => format_relative(at, now).unwrap_or_else(|| {
                local(at).to_locale_date_string("default", &wasm_bindgen::JsValue::UNDEFINED).into()
            }),
        }
    };
    view! { <time class="time" datetime=move || format_iso(at.get()) title=move || exact(at.get(), clock)>{text}</time> }
}

/// The time until a scheduled event; the exact time on hover. `words` precede it.
#[component]
pub fn TimeLeft(at: Timestamp, words: &'static str) -> impl IntoView {
    let clock = use_clock();
    let text = move || match clock.second() {
        None => format!("{words} at {}", format_stable(at)),
        Some(now) => match at.since(now) / SECOND {
            0 => format!("{words} now"),
            seconds @ 1..60 => format!("{words} in {seconds} s"),
            seconds => format!("{words} in {}", format_duration(seconds * SECOND)),
        },
    };
    view! { <time class="time" datetime=format_iso(at) title=move || exact(at, clock)>{text}</time> }
}

/// A duration.
#[component]
pub fn DurationText(#[prop(into)] milliseconds: Signal<u64>) -> impl IntoView {
    view! { <span class="duration">{move || format_duration(milliseconds.get())}</span> }
}

/// The time since `from`; ticks until `to` is known.
#[component]
pub fn Elapsed(
    #[prop(into)] from: Signal<Timestamp>,
    #[prop(optional, into)] to: MaybeProp<Timestamp>,
) -> impl IntoView {
    let clock = use_clock();
    let text = move || match to.get() {
        Some(to) => format_duration(to.since(from.get())),
        None => match clock.second() {
            // Whole seconds: a clock that ticks once a second has no tenths.
            Some(now) => match now.since(from.get()) / SECOND {
                seconds @ 0..60 => format!("{seconds} s"),
                seconds => format_duration(seconds * SECOND),
            },
            None => "…".into(),
        },
    };
    view! { <span class="duration">{text}</span> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (ms, text) in [
            (0, "0 ms"),
            (820, "820 ms"),
            (8_240, "8.2 s"),
            (59_960, "59.9 s"),
            (190_000, "3 m 10 s"),
            (7_500_000, "2 h 5 m"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(format_duration(ms), text);
        }
    }

    #[test]
    fn counts_are_short() {
        for (count, text) in [
            (812, "812"),
            (1_000, "1k"),
            (1_449, "1.4k"),
            (12_900, "12k"),
            (1_200_000, "1.2M"),
            (999_999, "999k"),
        ] {
            assert_eq!(format_count(count), text);
        }
        assert_eq!(format_bytes(214), "214 B");
        assert_eq!(format_bytes(1_440), "1.4 kB");
        assert_eq!(format_bytes(98_362_432), "98 MB");
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(format_iso(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_iso(Timestamp(1_709_164_800_123)), "2024-02-29T00:00:00.123Z");
        assert_eq!(format_iso(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_utc(Timestamp(1_709_164_800_123)), "29 Feb 2024, 00:00:00 UTC");
        assert_eq!(format_stable(Timestamp(1_735_689_599_000)), "31 Dec, 23:59");
    }

    #[test]
    fn relative_times_end_after_a_week() {
        let now = Timestamp(10 * 86_400_000);
        let ago = |ms: u64| format_relative(Timestamp(now.0 - i64::try_from(ms).unwrap()), now);
        assert_eq!(ago(30 * SECOND).as_deref(), Some("just now"));
        assert_eq!(ago(5 * MINUTE).as_deref(), Some("5 m ago"));
        assert_eq!(ago(3 * HOUR).as_deref(), Some("3 h ago"));
        assert_eq!(ago(2 * DAY).as_deref(), Some("2 d ago"));
        assert_eq!(ago(8 * DAY), None);
    }
}
