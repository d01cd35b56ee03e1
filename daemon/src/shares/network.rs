//! Networks of client addresses: `10.0.0.0/8`, `2001:db8::/32`, a single address.
//!
//! Invariant: an IPv4 client is the same client when a dual-stack socket shows it as `::ffff:a.b.c.d`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of client addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a network: give an address, or an address and a prefix length as in 10.0.0.0/8")]
pub struct ParseNetworkError(String);

impl Network {
    /// All IPv4 addresses.
    pub const ALL_IPV4: Self = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_bits: 0 };
    /// All IPv6 addresses.
    pub const ALL_IPV6: Self = Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_bits: 0 };

    /// The network of the addresses that begin with the first `prefix_bits` of `address`.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > width {
            return None;
        }
        let kept = masked(bits(address), width - prefix_bits);
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(kept as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(kept)),
        };
        Some(Self { address, prefix_bits })
    }

    /// Whether a client is in it.
    pub fn contains(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let width: u8 = if client.is_ipv4() { 32 } else { 128 };
        client.is_ipv4() == self.address.is_ipv4()
            && masked(bits(client), width - self.prefix_bits) == bits(self.address)
    }

    /// Bits that all its addresses share: the more, the more particular.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// `bits` with the lowest `count` cleared.
fn masked(bits: u128, count: u8) -> u128 {
    bits.checked_shr(count.into()).and_then(|kept| kept.checked_shl(count.into())).unwrap_or(0)
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let parse = || {
            let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
            let address: IpAddr = address.parse().ok()?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            Self::new(address, prefix.map_or(Some(width), |prefix| prefix.parse().ok())?)
        };
        parse().ok_or_else(|| ParseNetworkError(text.to_owned()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_their_prefix_says() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.9.9.9/8", "::ffff:10.1.1.1", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1", "::1", true),
        ];
        for (network, client, expected) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(client.parse().unwrap()), expected, "{network} {client}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "host", "1.2.3.4/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
