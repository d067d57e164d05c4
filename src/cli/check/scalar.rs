//! What a scalar of YAML means to kubectl.
//!
//! kubectl reads YAML 1.1 with the `go.yaml.in/yaml/v2` package, and a Canary is judged as kubectl would send it: `yes`
//! and `off` are booleans, `0600` is octal, `1_000` is a thousand. The order of the attempts is that of its `resolve.go`.

use serde_json::{Number, Value};

/// What an unquoted scalar without a tag means.
///
/// # Errors
/// A value that no JSON can hold, so that kubectl refuses the document.
pub fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("{text} is a number that JSON does not have")),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    })
}

/// What a scalar with a tag of YAML's own means (`!!int`, `!!str`).
///
/// # Errors
/// Text that is none of what the tag says.
pub fn tagged(tag: &str, text: &str) -> Result<Value, String> {
    let value = match tag {
        "bool" | "int" | "float" | "null" => plain(text)?,
        _ => return Ok(Value::from(text)),
    };
    let fits = match (tag, &value) {
        ("bool", Value::Bool(_)) | ("null", Value::Null) | ("float", Value::Number(_)) => true,
        ("int", Value::Number(number)) => !number.is_f64(),
        _ => false,
    };
    if fits {
        Ok(value)
    } else {
        Err(format!("{text:?} is no !!{tag}"))
    }
}

fn number(text: &str) -> Option<Number> {
    if text.starts_with('.') {
        return float(text);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-') {
        return None;
    }
    let digits = text.replace('_', "");
    whole(&digits).or_else(|| float(&digits))
}

/// Go's `strconv.ParseInt` and `ParseUint` of base 0.
fn whole(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // A second sign would be welcome to Rust.
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        return 0_i64.checked_sub_unsigned(size).map(Number::from);
    }
    match i64::try_from(size) {
        Ok(size) => Some(size.into()),
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(size.into()),
    }
}

/// What is written as a floating point number, and is one: what is too large for it stays text.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    let is_exponent = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    if !is_mantissa || !is_exponent {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        for (text, expected) in [
            ("180", json!(180)),
            ("+180", json!(180)),
            ("-5", json!(-5)),
            ("1_000", json!(1000)),
            ("0600", json!(384)),
            ("0o600", json!(384)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("-0b101", json!(-5)),
            ("089", json!(89.0)),
            ("180.0", json!(180.0)),
            ("180.", json!(180.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("9223372036854775807", json!(i64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("0.1", json!(0.1)),
            ("1e400", json!("1e400")),
            ("60:30", json!("60:30")),
            ("2026-11-24", json!("2026-11-24")),
            ("1.2.3", json!("1.2.3")),
            ("5m30", json!("5m30")),
            ("--5", json!("--5")),
            ("+-5", json!("+-5")),
            ("-", json!("-")),
            ("0x", json!("0x")),
            ("yes", json!(true)),
            ("On", json!(true)),
            ("n", json!(false)),
            ("off", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("", json!(null)),
        ] {
            assert_eq!(plain(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_number_that_json_does_not_have_is_refused() {
        for text in [".nan", "-.inf", "+.Inf"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_says_what_a_scalar_is() {
        assert_eq!(tagged("str", "180"), Ok(json!("180")));
        assert_eq!(tagged("int", "0600"), Ok(json!(384)));
        assert_eq!(tagged("float", "180"), Ok(json!(180)));
        assert_eq!(tagged("bool", "yes"), Ok(json!(true)));
        assert_eq!(tagged("int", "soon"), Err("\"soon\" is no !!int".to_owned()));
        assert_eq!(tagged("int", "1.5"), Err("\"1.5\" is no !!int".to_owned()));
    }
}
