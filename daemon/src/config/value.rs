//! Values as they stand in the file or on the command line, and what they mean.

use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use cow_api::size::ByteSize;

/// A value before its meaning is known. Text may stand for a number, so that flags can set everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// `true` or `false`.
    Switch(bool),
    /// Several texts.
    List(Vec<String>),
}

impl Value {
    /// Text, such as a path.
    pub fn text(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            _ => Err("must be text in quotes".to_owned()),
        }
    }

    /// Text that is read further.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self) -> Result<T, String> {
        self.text()?.parse().map_err(|error: T::Err| error.to_string())
    }

    /// A whole number from `least` on.
    pub fn number(&self, least: u64) -> Result<u64, String> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| *number >= least).ok_or_else(|| format!("must be a whole number of at least {least}"))
    }

    /// Bytes: `8192`, `"8K"`, `"1.5 GiB"`.
    pub fn size(&self) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(*number),
            _ => self.parsed::<ByteSize>().map(|size| size.0),
        }
    }

    /// A time: `"250ms"`, `"5s"`, `"10m"`, `"24h"`, `"7d"`.
    pub fn duration(&self) -> Result<Duration, String> {
        let text = self.text()?;
        parse_duration(&text).ok_or_else(|| format!("'{text}' is not a time: write it as in 250ms, 5s, 10m, 24h or 7d"))
    }

    /// `true` or `false`.
    pub fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Switch(on) => Ok(*on),
            Self::Text(text) => text.parse().map_err(|_| format!("'{text}' is neither true nor false")),
            _ => Err("must be true or false".to_owned()),
        }
    }

    /// Several texts; one text alone has commas between them.
    pub fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Text(text) => {
                Ok(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
            _ => Err("must be a list of texts".to_owned()),
        }
    }

    /// An address and a port: `127.0.0.1:2049`, `[::1]:2049`, or `:2049` for all addresses.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let text = self.text()?;
        let wrong = || format!("'{text}' is not an address and a port, as in 127.0.0.1:2049, [::1]:2049 or :2049");
        match text.strip_prefix(':') {
            Some(port) => port.parse().map(|port| (Ipv6Addr::UNSPECIFIED, port).into()).map_err(|_| wrong()),
            None => text.parse().map_err(|_| wrong()),
        }
    }

    /// Permission bits, as octal text: `"0660"`.
    pub fn mode(&self) -> Result<u32, String> {
        let text = self.text()?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| format!("'{text}' is no mode: write it in octal, as in \"0660\""))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let unit_millis = match text[end..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(unit_millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_mean_what_people_write() {
        let text = |text: &str| Value::Text(text.to_owned());
        let millis = |value: &str| text(value).duration().ok().map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("5s"), Some(5000));
        assert_eq!(millis("2 d"), Some(172_800_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in ["", "5", "s", "5y", "-5s", "1.5s", "999999999999999999d"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
        assert_eq!(text(":80").address(), Ok("[::]:80".parse().unwrap()));
        assert_eq!(text("10.0.0.1:0").address(), Ok("10.0.0.1:0".parse().unwrap()));
        assert!(text("localhost").address().is_err() && text(":x").address().is_err());
        assert_eq!(text("0660").mode(), Ok(0o660));
        assert!(text("0888").mode().is_err() && text("7777").mode().is_err());
        assert_eq!(text("a, b,").list(), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(text("8K").size(), Value::Number(8192).size());
        assert_eq!(text("17").number(1), Ok(17));
        assert!(text("0").number(1).is_err() && Value::Switch(true).number(0).is_err());
        assert_eq!(text("true").switch(), Ok(true));
    }
}
