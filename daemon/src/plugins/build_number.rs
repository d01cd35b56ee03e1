//! The number of a plugin's build, which never goes down.

use std::cmp::Ordering;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whole numbers with points between, as `1.10.2`; zeros at the end do not count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildNumber(Vec<u64>);

impl BuildNumber {
    /// The numbers without zeros at the end.
    fn significant(&self) -> &[u64] {
        let end = self.0.iter().rposition(|part| *part != 0).map_or(0, |last| last + 1);
        &self.0[..end]
    }
}

impl PartialEq for BuildNumber {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for BuildNumber {}

impl PartialOrd for BuildNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BuildNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.significant().cmp(other.significant())
    }
}

impl FromStr for BuildNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let parts: Option<Vec<u64>> = text.split('.').map(part).collect();
        let parts = parts.ok_or_else(|| format!("'{text}' is not of whole numbers with points between, as 1.10.2"))?;
        if parts.iter().all(|part| *part == 0) {
            return Err(format!("'{text}' has no number above 0"));
        }
        Ok(Self(parts))
    }
}

impl TryFrom<String> for BuildNumber {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BuildNumber> for String {
    fn from(number: BuildNumber) -> Self {
        number.to_string()
    }
}

impl std::fmt::Display for BuildNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_part_by_part() {
        let ascending = ["0.1", "1", "1.0.1", "1.1", "1.2", "1.10", "2", "10.0.0.1", "11"];
        let numbers: Vec<BuildNumber> = ascending.iter().map(|text| text.parse().unwrap()).collect();
        for (at, left) in numbers.iter().enumerate() {
            assert_eq!(left.to_string(), ascending[at]);
            for (other, right) in numbers.iter().enumerate() {
                assert_eq!(left.cmp(right), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!("1.0.0".parse::<BuildNumber>(), "1".parse());
        for wrong in ["", ".", "1.", "-1", "+1", "1a", "0", "0.0", "99999999999999999999"] {
            assert!(wrong.parse::<BuildNumber>().is_err(), "{wrong}");
        }
    }
}
