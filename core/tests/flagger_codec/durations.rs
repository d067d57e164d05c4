//! Texts that are durations, and texts that nearly are.

use fastrand::Rng;

/// Where Go's parser has its corners.
const HOSTILE: &[&str] = &[
    "",
    "0",
    "-0",
    "+0",
    "00",
    "0.0",
    "-",
    "+",
    ".",
    "s",
    ".s",
    "-.s",
    "+-1s",
    "--1s",
    "1s-1s",
    "1 s",
    " 1s",
    "1s ",
    "1s\n",
    "30",
    "5m30",
    "5m 30s",
    "1d",
    "1w",
    "1S",
    "1H",
    "1M",
    "1e3s",
    "1,5s",
    "0x1s",
    "1_000s",
    "१s",
    "1．5s",
    "∞",
    "1s\u{0}",
    "1us",
    "1µs",
    "1μs",
    "1Âµs",
    "1ųs",
    ".5h",
    "1.h",
    "1..h",
    "1.5.5h",
    "0s",
    "-0s",
    "1h1m1s1ms1us1ns",
    "1ns1h",
    "1h1h",
    "9223372036854775807ns",
    "9223372036854775808ns",
    "9223372036854775809ns",
    "-9223372036854775807ns",
    "-9223372036854775808ns",
    "-9223372036854775809ns",
    "+9223372036854775808ns",
    "9223372036854775.807us",
    "9223372036854775.808us",
    "-9223372036854775.808us",
    "9223372036.854775807s",
    "9223372036.854775808s",
    "-9223372036.854775808s",
    "2562047h47m16.854775807s",
    "-2562047h47m16.854775808s",
    "2562047.788015215h",
    "2562047.7880152155019444h",
    "2562048h",
    "153722867m",
    "153722868m",
    "10000000000000000000000h",
    "9223372036854775808ns9223372036854775808ns",
    "-9223372036854775808ns9223372036854775808ns",
    "9223372036854775808ns9223372036854775808ns1s",
    "9223372036854775808ns9223372036854775807ns",
    "9223372036854775808ns1ns",
    "0.9223372036854775807s",
    "0.9223372036854775808s",
    "0.9223372036854775809s",
    "0.92233720368547758070s",
    "0.9223372036854775808h",
    "0.3333333333333333333h",
    "0.100000000000000000000h",
    "0.830103483285477580700h",
    "0.000000000000000000000000000000000000000000001h",
    "0.99999999999999999999999ns",
    "0.9999999999999999h",
    "1.0000000000000000000001h",
    "18446744073709551615ns",
    "18446744073709551616ns",
    "5124095h34m33.709551616s",
    "922337203685477580.7ns",
    "922337203685477580.8h",
];

const UNITS: &[&str] = &["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
const ALPHABET: &[char] = &[
    '0', '1', '5', '9', '.', '.', '+', '-', 'n', 'u', 'µ', 'μ', 'm', 's', 's', 'h', ' ', 'd', 'H', 'e', '\n', '🚨',
];

/// So many texts: every hostile one, then every kind of random one in equal shares.
pub fn texts(rng: &mut Rng, count: usize) -> Vec<String> {
    let hostile = HOSTILE.iter().map(|text| (*text).to_owned());
    hostile
        .chain(std::iter::repeat_with(|| text(rng)))
        .take(count.max(HOSTILE.len()))
        .collect()
}

/// A text that an interval could hold.
pub fn text(rng: &mut Rng) -> String {
    match rng.u8(..5) {
        0 => (0..rng.usize(..12))
            .map(|_| ALPHABET[rng.usize(..ALPHABET.len())])
            .collect(),
        1 => format!("{}ns", rng.i64(..) >> rng.u32(..64)),
        2 => damaged(rng),
        3 => nearly_whole(rng),
        _ => terms(rng),
    }
}

/// Numbers with units, as Go would take them were they not too large.
fn terms(rng: &mut Rng) -> String {
    let mut text = String::from(["", "", "-", "+"][rng.usize(..4)]);
    for _ in 0..rng.usize(1..4) {
        text += &digits(rng);
        if rng.bool() {
            text.push('.');
            text += &digits(rng);
        }
        text += UNITS[rng.usize(..UNITS.len())];
    }
    text
}

/// A fraction of an hour or a minute that lies beside a whole number of nanoseconds, where rounding decides; with
/// as many digits as Go reads, and some more.
fn nearly_whole(rng: &mut Rng) -> String {
    let (nanos, unit) = [(3_600_000_000_000, "h"), (60_000_000_000, "m")][rng.usize(..2)];
    let digits = rng.u32(12..22);
    let fraction = rng.u128(..nanos) * 10_u128.pow(digits) / nanos + rng.u128(..2);
    format!("0.{fraction:0>width$}{unit}", width = digits as usize)
}

/// A good text with one character lost, doubled or exchanged.
fn damaged(rng: &mut Rng) -> String {
    let mut chars: Vec<_> = terms(rng).chars().collect();
    let place = rng.usize(..chars.len());
    match rng.u8(..3) {
        0 => drop(chars.remove(place)),
        1 => chars.insert(place, chars[place]),
        _ => chars[place] = ALPHABET[rng.usize(..ALPHABET.len())],
    }
    chars.into_iter().collect()
}

/// Mostly short; sometimes around the 19 digits that 64 bits can hold.
fn digits(rng: &mut Rng) -> String {
    let count = if rng.u8(..4) == 0 {
        rng.usize(..24)
    } else {
        rng.usize(..5)
    };
    (0..count).map(|_| rng.digit(10)).collect()
}
