//! Durations as Flagger reads and writes them: Go's `time.ParseDuration` and `Duration.String`.
//!
//! Flagger hands `analysis.interval`, hook timeouts and metric intervals to Go's parser and silently takes a default for
//! what does not parse (`docs/flagger.md#f11`). So the parser here accepts and refuses exactly what Go's does, down to
//! its rounding; `core/tests/flagger_codec` compares the two.

use std::{fmt, str::FromStr};

/// A span of time with Go's range and precision: signed nanoseconds in 64 bits, about 292 years either way.
///
/// `Display` writes it as Go's `Duration.String` does: `1h0m30s`, `1.5s`, `250ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// Why a text is no duration to Go. The message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DurationError {
    /// Nothing, or only a sign.
    Empty,
    /// A number was expected here.
    NoNumber(String),
    /// A number without a unit behind it, as in `30` or `5m30`.
    NoUnit(String),
    /// What stands behind the number is no unit, as in `1d`.
    UnknownUnit(String),
    /// More than 64 bits of nanoseconds.
    OutOfRange,
}

/// Nanoseconds of the units that Go knows. Both ways to write the micro sign count.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", MICROSECOND),
    ("\u{b5}s", MICROSECOND),
    ("\u{3bc}s", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", 60 * MINUTE),
];
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;

/// The magnitude of the smallest `i64`: Go lets a sum grow to it and refuses it at the end unless it is negative.
const LIMIT: u64 = 1 << 63;

/// Reads a duration as Go's `time.ParseDuration` does.
///
/// # Errors
///
/// When Go refuses the text: Flagger would fall back to its default without a word.
pub fn parse(text: &str) -> Result<GoDuration, DurationError> {
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // The one number that needs no unit.
    if rest == "0" {
        return Ok(GoDuration(0));
    }
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }

    let mut total = 0_u64;
    while !rest.is_empty() {
        let (nanos, behind) = term(rest)?;
        // Go adds without a look at the carry: two terms of 2^63 ns each make 0, not an error.
        total = total.wrapping_add(nanos);
        if total > LIMIT {
            return Err(DurationError::OutOfRange);
        }
        rest = behind;
    }
    let nanos = if negative {
        0_i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    };
    nanos.map(GoDuration).ok_or(DurationError::OutOfRange)
}

/// One number with its unit, in nanoseconds, and what stands behind it.
fn term(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, behind) = split(text, |c| !c.is_ascii_digit());
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => split(behind, |c| !c.is_ascii_digit()),
        None => ("", behind),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::NoNumber(excerpt(text)));
    }
    let (unit, rest) = split(behind, |c| c == '.' || c.is_ascii_digit());
    // Go reads the whole part before it looks for the unit.
    let whole = whole_number(whole)?;
    if unit.is_empty() {
        return Err(DurationError::NoUnit(excerpt(&text[..text.len() - behind.len()])));
    }
    let Some(&(_, unit)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::UnknownUnit(excerpt(unit)));
    };

    let nanos = whole
        .checked_mul(unit)
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or(DurationError::OutOfRange)?;
    let nanos = nanos + fraction_of(fraction, unit);
    if nanos > LIMIT {
        Err(DurationError::OutOfRange)
    } else {
        Ok((nanos, rest))
    }
}

fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn whole_number(digits: &str) -> Result<u64, DurationError> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits
        .parse()
        .ok()
        .filter(|number| *number <= LIMIT)
        .ok_or(DurationError::OutOfRange)
}

/// The nanoseconds behind the point, rounded as Go rounds: digits beyond 63 bits are dropped, the product is taken in
/// floating point and cut off.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut value = 0_u64;
    let mut scale = 1.0_f64;
    for digit in digits.bytes() {
        match value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
        {
            Some(longer) if longer <= LIMIT => value = longer,
            _ => break,
        }
        scale *= 10.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is lost here is what Go loses; the result lies between 0 and one unit"
    )]
    let nanos = (value as f64 * (unit as f64 / scale)) as u64;
    nanos
}

/// The beginning of a text that somebody else wrote, fit for a one-line message.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 20;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

// === impl GoDuration ===

impl GoDuration {
    /// A duration of so many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A duration of so many whole seconds; the longest or shortest possible where they do not fit.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// The nanoseconds, negative ones too.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text)
    }
}

/// Fails for negative durations.
impl TryFrom<GoDuration> for std::time::Duration {
    type Error = std::num::TryFromIntError;

    fn try_from(duration: GoDuration) -> Result<Self, Self::Error> {
        u64::try_from(duration.0).map(Self::from_nanos)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let mut text = String::new();
        if self.0 < 0 {
            text.push('-');
        }
        // Below a second Go takes the largest unit that leaves a digit before the point.
        if nanos == 0 {
            text.push_str("0s");
        } else if nanos < MICROSECOND {
            push_decimal(&mut text, nanos, 1, "ns");
        } else if nanos < MILLISECOND {
            push_decimal(&mut text, nanos, MICROSECOND, "\u{b5}s");
        } else if nanos < SECOND {
            push_decimal(&mut text, nanos, MILLISECOND, "ms");
        } else {
            let (hours, minutes) = (nanos / (60 * MINUTE), nanos / MINUTE % 60);
            if hours > 0 {
                push_decimal(&mut text, hours, 1, "h");
            }
            if nanos >= MINUTE {
                push_decimal(&mut text, minutes, 1, "m");
            }
            push_decimal(&mut text, nanos % MINUTE, SECOND, "s");
        }
        f.pad(&text)
    }
}

/// Writes `value / unit` without trailing zeros, then the unit's name.
fn push_decimal(text: &mut String, value: u64, unit: u64, name: &str) {
    text.push_str(&(value / unit).to_string());
    let below = value % unit;
    if below > 0 {
        let width = unit.ilog10() as usize;
        let digits = format!("{below:0width$}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push_str(name);
}

// === impl DurationError ===

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NoNumber(text) => write!(f, "\"{text}\" does not start with a number"),
            Self::NoUnit(number) => write!(f, "there is no unit after \"{number}\""),
            Self::UnknownUnit(unit) => write!(f, "\"{unit}\" is not a unit (ns, us, ms, s, m, h are)"),
            Self::OutOfRange => f.write_str("it is longer than 292 years"),
        }
    }
}

impl std::error::Error for DurationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("+5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("30s1m", 90_000_000_000),
            (".5h", 1_800_000_000_000),
            ("1.h", 3_600_000_000_000),
            ("1us1\u{b5}s1\u{3bc}s", 3_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            // Rounded down by floating point, as Go does.
            ("0.000000000000000000000000001h", 0),
            ("-9223372036854775808ns", i64::MIN),
            ("9223372036854775807ns", i64::MAX),
            // Go's sum wraps: 2^63 twice is 0.
            ("9223372036854775808ns9223372036854775808ns", 0),
        ] {
            assert_eq!(parse(text), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_and_says_why() {
        use DurationError::{Empty, NoNumber, NoUnit, OutOfRange, UnknownUnit};
        for (text, error) in [
            ("", Empty),
            ("-", Empty),
            ("s", NoNumber("s".into())),
            (".s", NoNumber(".s".into())),
            ("--5s", NoNumber("-5s".into())),
            (" 5s", NoNumber(" 5s".into())),
            ("30", NoUnit("30".into())),
            ("5m30", NoUnit("30".into())),
            ("1.5.5s", NoUnit("1.5".into())),
            ("1d", UnknownUnit("d".into())),
            ("5S", UnknownUnit("S".into())),
            ("5m 30s", UnknownUnit("m ".into())),
            ("1e3s", UnknownUnit("e".into())),
            ("5s\n", UnknownUnit("s\\n".into())),
            ("1\u{65e5}\u{672c}", UnknownUnit("\u{65e5}\u{672c}".into())),
            ("9223372036854775808ns", OutOfRange),
            ("-9223372036854775809ns", OutOfRange),
            ("10000000000000000000000h", OutOfRange),
            ("2562048h", OutOfRange),
            ("9223372036.854775808s", OutOfRange),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn writes_as_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (-1, "-1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_690_500_000_000, "1h1m30.5s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration(nanos).to_string(), text);
            assert_eq!(parse(text), Ok(GoDuration(nanos)));
        }
    }

    #[test]
    fn messages_stay_on_one_short_line() {
        let error = parse(&format!("5{}", "\n".repeat(1_000))).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.len() < 150, "{error}");
    }
}
