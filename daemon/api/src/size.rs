//! Sizes in bytes, as people write them: `8K`, `1.5 GiB`.
//!
//! Invariant: units are binary, always; what is printed parses back to within the digits shown.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Prints as `1.5 GiB`; with `{:#}` exactly, as in `8K` or `1537`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSizeError(String);

const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write_exactly(self.0, f);
        }
        let mut unit = 0;
        // A size of 1023.96 KiB would round up to 1024.0 KiB: it is 1.0 MiB.
        while unit < UNITS.len() && self.0 as f64 / scale(unit) >= if unit == 0 { 1024.0 } else { 1023.95 } {
            unit += 1;
        }
        let text = match unit {
            0 => format!("{} B", self.0),
            _ => format!("{:.1} {}iB", self.0 as f64 / scale(unit), UNITS[unit - 1]),
        };
        f.pad(&text)
    }
}

fn scale(unit: usize) -> f64 {
    (1_u64 << (10 * unit)) as f64
}

fn write_exactly(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let unit = if bytes == 0 { 0 } else { (bytes.trailing_zeros() / 10) as usize };
    match unit {
        0 => f.pad(&bytes.to_string()),
        _ => f.pad(&format!("{}{}", bytes >> (10 * unit), UNITS[unit - 1])),
    }
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        parse(text).map(Self).ok_or_else(|| ParseSizeError(text.to_owned()))
    }
}

/// `number [unit]`, where the unit is one letter, perhaps with `iB` or `B` behind it, in any case.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..number_end], text[number_end..].trim().to_ascii_uppercase());
    let letters = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
    let shift = match letters {
        "" if unit.ends_with("IB") => return None,
        "" => 0,
        _ => 10 * (UNITS.iter().position(|known| letters.strip_prefix(*known) == Some(""))? + 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let bytes = whole.checked_shl(shift as u32).filter(|bytes| bytes >> shift == whole)?;
    u64::try_from(bytes.checked_add(fraction_bytes(fraction, shift)?)?).ok()
}

/// The part behind the point, rounded to whole bytes.
fn fraction_bytes(digits: &str, shift: usize) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    // More digits than these say nothing about whole bytes.
    let digits = &digits[..digits.len().min(18)];
    let ten = 10_u128.pow(digits.len() as u32);
    Some(((digits.parse::<u128>().ok()? << shift) + ten / 2) / ten)
}

impl fmt::Display for ParseSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a size: give bytes, or a number with K, M, G, T, P or E as in 8K or 1.5G", self.0)
    }
}

impl std::error::Error for ParseSizeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        let cases = [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("8K", Some(8 << 10)),
            ("8k", Some(8 << 10)),
            ("8 KiB", Some(8 << 10)),
            ("8KB", Some(8 << 10)),
            ("12 B", Some(12)),
            ("1.5 GiB", Some(3 << 29)),
            ("0.5K", Some(512)),
            (" 2T ", Some(2 << 40)),
            ("16E", None),
            ("15E", Some(15 << 60)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("340282366920938463463374607431768211456K", None),
            ("", None),
            ("K", None),
            (".5K", None),
            ("1.K", None),
            ("1..5K", None),
            ("-1", None),
            ("1 iB", None),
            ("1X", None),
            ("1KK", None),
            ("1 é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<ByteSize>().ok(), expected.map(ByteSize), "{text:?}");
        }
    }

    #[test]
    fn sizes_print_briefly_or_exactly() {
        let cases = [
            (0, "0 B", "0"),
            (1023, "1023 B", "1023"),
            (1024, "1.0 KiB", "1K"),
            (1536, "1.5 KiB", "1536"),
            ((1 << 20) - 1, "1.0 MiB", "1048575"),
            (3 << 29, "1.5 GiB", "1536M"),
            (u64::MAX, "16.0 EiB", "18446744073709551615"),
        ];
        for (bytes, brief, exact) in cases {
            assert_eq!(ByteSize(bytes).to_string(), brief);
            assert_eq!(format!("{:#}", ByteSize(bytes)), exact);
            assert_eq!(exact.parse(), Ok(ByteSize(bytes)));
        }
        assert_eq!(format!("{:>9}", ByteSize(1024)), "  1.0 KiB");
    }
}
