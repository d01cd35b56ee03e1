//! Who may use a share, in words: as the configuration has it, as people write it, as the pool keeps it.
//!
//! Invariant: what is described reads back as the same; a text that cannot be read admits nobody.

use std::fmt;
use std::str::FromStr;

use cow_api::v1::SetShare;

use crate::shares::{Access, Network, Rule, Squash};

/// Most networks that one share names: they are looked through at every call.
const RULES_MAX: usize = 256;

/// Everything a network may be allowed, in words: `10.0.0.0/8 rw root_squash`.
pub fn describe_rule(rule: &Rule) -> String {
    let squash = match rule.squash {
        Squash::None => "no_root_squash",
        Squash::Root => "root_squash",
        Squash::All => "all_squash",
    };
    format!("{} {} {squash}", rule.network, if rule.writable { "rw" } else { "ro" })
}

/// A rule from its words: a network, then in any order `rw` or `ro` (default), and `root_squash` (default),
/// `no_root_squash` or `all_squash`.
pub fn parse_rule(text: &str) -> Result<Rule, String> {
    let mut words = text.split_whitespace();
    let network: Network = words.next().unwrap_or("").parse().map_err(|error| format!("{error}"))?;
    let mut rule = Rule { network, writable: false, squash: Squash::Root };
    let (mut writings, mut squashes) = (0, 0);
    for word in words {
        match word {
            "rw" => rule.writable = true,
            "ro" => rule.writable = false,
            "root_squash" => rule.squash = Squash::Root,
            "no_root_squash" => rule.squash = Squash::None,
            "all_squash" => rule.squash = Squash::All,
            _ => {
                let words = ["rw", "ro", "root_squash", "no_root_squash", "all_squash"];
                return Err(format!("'{word}' in the rule '{text}' is none of {}", words.join(", ")));
            }
        }
        *(if word.len() == 2 { &mut writings } else { &mut squashes }) += 1;
    }
    if writings > 1 || squashes > 1 {
        return Err(format!("the rule '{text}' contradicts itself: write rw or ro once, and one kind of squash"));
    }
    Ok(rule)
}

impl Access {
    /// The same with some options set. Fails with one line for people.
    pub fn changed(&self, change: &SetShare) -> Result<Self, String> {
        let SetShare { off, rules, anonuid, anongid, secure } = change;
        if *off {
            let alone = rules.is_none() && anonuid.is_none() && anongid.is_none() && secure.is_none();
            let nobody = Self { rules: Vec::new(), ..self.clone() };
            return if alone { Ok(nobody) } else { Err("'off' goes with nothing else".to_owned()) };
        }
        let rules = match rules {
            Some(texts) => parse_rules(texts)?,
            None => self.rules.clone(),
        };
        if rules.is_empty() {
            return Err("nobody could mount it: write a network, as in 10.1.0.0/16 rw, or off".to_owned());
        }
        Ok(Self {
            rules,
            anonymous_uid: anonuid.unwrap_or(self.anonymous_uid),
            anonymous_gid: anongid.unwrap_or(self.anonymous_gid),
            privileged_port: secure.unwrap_or(self.privileged_port),
        })
    }
}

fn parse_rules(texts: &[String]) -> Result<Vec<Rule>, String> {
    if texts.len() > RULES_MAX {
        return Err(format!("{} networks are too many for one share: write at most {RULES_MAX}", texts.len()));
    }
    let rules: Vec<Rule> = texts.iter().map(|text| parse_rule(text)).collect::<Result<_, _>>()?;
    for (at, rule) in rules.iter().enumerate() {
        if rules[..at].iter().any(|other| other.network == rule.network) {
            return Err(format!("{} is named twice: write it once", rule.network));
        }
    }
    Ok(rules)
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, anonymous_uid, anonymous_gid, privileged_port } = self;
        if rules.is_empty() {
            return f.write_str("off");
        }
        for rule in rules {
            write!(f, "{}, ", describe_rule(rule))?;
        }
        let secure = if *privileged_port { "secure" } else { "insecure" };
        write!(f, "anonuid={anonymous_uid}, anongid={anonymous_gid}, {secure}")
    }
}

impl FromStr for Access {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::default().changed(&SetShare::parse(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_they_are_described() {
        for text in ["10.0.0.0/8 rw root_squash", "::1/128 ro all_squash", "0.0.0.0/0 rw no_root_squash"] {
            assert_eq!(describe_rule(&parse_rule(text).unwrap()), text);
        }
        assert_eq!(describe_rule(&parse_rule("10.1.2.3").unwrap()), "10.1.2.3/32 ro root_squash");
        for wrong in ["", "rw", "10.0.0.0/40 rw", "10.0.0.0/8 readonly", "::1 rw ro", "::1 all_squash root_squash"] {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_reads_as_it_is_described() {
        for (text, described) in [
            ("off", "off"),
            ("10.9.0.0/8 rw", "10.0.0.0/8 rw root_squash, anonuid=65534, anongid=65534, insecure"),
            (
                "secure anongid=7 ::1 all_squash 10.0.0.1",
                "::1/128 ro all_squash, 10.0.0.1/32 ro root_squash, anonuid=65534, anongid=7, secure",
            ),
        ] {
            let access: Access = text.parse().unwrap();
            assert_eq!((access.to_string().as_str(), access.to_string().parse()), (described, Ok(access)));
        }
        for wrong in ["", "secure", "10.0.0.0/8 10.1.0.0/8", "host.example rw", "10.0.0.0/33", "off off 1.2.3.4"] {
            assert!(wrong.parse::<Access>().is_err(), "{wrong}");
        }
        let many: Vec<String> =
            (0..=RULES_MAX).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
        assert!(many.join(" ").parse::<Access>().unwrap_err().contains("too many"));
        assert!(many[1..].join(" ").parse::<Access>().is_ok());
    }

    #[test]
    fn what_is_not_said_stays() {
        let before: Access = "10.0.0.0/8 rw, anonuid=5, secure".parse().unwrap();
        let after = |text: &str| before.changed(&SetShare::parse(text).unwrap()).unwrap().to_string();
        assert_eq!(after("anongid=6"), "10.0.0.0/8 rw root_squash, anonuid=5, anongid=6, secure");
        assert_eq!(after("::1 insecure"), "::1/128 ro root_squash, anonuid=5, anongid=65534, insecure");
        assert_eq!(after("off"), "off");
    }
}
