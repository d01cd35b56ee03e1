//! Shares: what NFS clients can mount, who may, and how that is said in words.
//!
//! Invariant: a share has one text, in configuration, on the command line and where it is stored: networks, each
//! followed by what its clients may, and options of the whole share.

use serde::{Deserialize, Serialize};

/// All shares.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shares {
    /// By path.
    pub shares: Vec<Share>,
}

/// What NFS clients can mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Share {
    /// The path to mount.
    pub path: String,
    /// The dataset.
    pub dataset: String,
    /// Who may, as in `10.0.0.0/8 rw root_squash`. The most particular network counts. None if nobody may: the share is off.
    pub rules: Vec<String>,
    /// The user that squashed ones become.
    #[serde(default)]
    pub anonuid: u32,
    /// The group that squashed ones become.
    #[serde(default)]
    pub anongid: u32,
    /// Whether calls must come from ports below 1024.
    #[serde(default)]
    pub secure: bool,
    /// The dataset whose options these are: itself, or the one above that it inherits from; `null` if they are the
    /// configuration's.
    #[serde(default)]
    pub from: Option<String>,
}

/// Options to give a share; what is absent is as it was in effect, inherited or not.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetShare {
    /// Whether nobody may mount it, whatever was set above it. Goes with nothing else.
    #[serde(default)]
    pub off: bool,
    /// Who may, as in `10.0.0.0/8 rw root_squash`: a network, `rw` or `ro` (the default), and `root_squash` (the default),
    /// `no_root_squash` or `all_squash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
    /// The user that squashed ones become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonuid: Option<u32>,
    /// The group that squashed ones become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anongid: Option<u32>,
    /// Whether calls must come from ports below 1024, which only root of the client can use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
}

/// What may follow a network.
const OF_A_NETWORK: [&str; 5] = ["rw", "ro", "root_squash", "no_root_squash", "all_squash"];

impl SetShare {
    /// Options from words, which spaces and commas separate: `10.1.0.0/16 rw all_squash, 10.2.0.0/16, anonuid=99, secure`.
    /// Fails with one line for people. Whether a network is one, only the daemon says.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut change = Self::default();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            change.take(word)?;
        }
        if change.off && change != (Self { off: true, ..Self::default() }) {
            return Err("'off' goes with nothing else: nobody may mount the share".to_owned());
        }
        Ok(change)
    }

    fn take(&mut self, word: &str) -> Result<(), String> {
        let id = |name: &str, value: &str| {
            value.parse().map_err(|_| format!("'{word}' is no option: write {name}=NUMBER, as in {name}=65534"))
        };
        match word.split_once('=') {
            Some((name @ "anonuid", value)) => set(&mut self.anonuid, id(name, value)?, name),
            Some((name @ "anongid", value)) => set(&mut self.anongid, id(name, value)?, name),
            None if word == "off" => {
                self.off = true;
                Ok(())
            }
            None if ["secure", "insecure"].contains(&word) => set(&mut self.secure, word == "secure", "secure"),
            None if OF_A_NETWORK.contains(&word) => match self.rules.as_mut().and_then(|rules| rules.last_mut()) {
                Some(rule) => {
                    rule.push(' ');
                    rule.push_str(word);
                    Ok(())
                }
                None => Err(format!("'{word}' follows no network: write one before it, as in 10.1.0.0/16 {word}")),
            },
            None if word.contains(['.', ':', '/']) => {
                self.rules.get_or_insert_default().push(word.to_owned());
                Ok(())
            }
            _ => {
                let of_a_network = OF_A_NETWORK.join(", ");
                Err(format!(
                    "'{word}' is no option of a share: write networks as 10.1.0.0/16, each followed by some of \
                     {of_a_network}; and anonuid=N, anongid=N, secure or insecure; or off"
                ))
            }
        }
    }
}

fn set<T: PartialEq>(place: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    if place.replace(value).is_some() { Err(format!("{name} is said twice: say it once")) } else { Ok(()) }
}

impl Share {
    /// All of it in words, as [`SetShare::parse`] reads them.
    pub fn describe(&self) -> String {
        if self.rules.is_empty() {
            return "off".to_owned();
        }
        let Self { anonuid, anongid, secure, .. } = self;
        let secure = if *secure { "secure" } else { "insecure" };
        format!("{}, anonuid={anonuid}, anongid={anongid}, {secure}", self.rules.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_to_be_set() {
        let change = SetShare::parse("10.1.0.0/16 rw all_squash,10.2.0.0/16, ::1 ro  anonuid=99 secure").unwrap();
        let rules = ["10.1.0.0/16 rw all_squash", "10.2.0.0/16", "::1 ro"].map(str::to_owned).to_vec();
        let expected =
            SetShare { rules: Some(rules.clone()), anonuid: Some(99), secure: Some(true), ..SetShare::default() };
        assert_eq!(change, expected);
        assert_eq!(SetShare::parse("insecure").unwrap(), SetShare { secure: Some(false), ..SetShare::default() });
        assert_eq!(SetShare::parse(" off ").unwrap(), SetShare { off: true, ..SetShare::default() });
        assert_eq!(SetShare::parse("").unwrap(), SetShare::default());
        let share = Share {
            path: "/a".to_owned(),
            dataset: "a".to_owned(),
            rules,
            anonuid: 1,
            anongid: 2,
            secure: false,
            from: None,
        };
        let again = SetShare::parse(&share.describe()).unwrap();
        assert_eq!((again.rules, again.anonuid, again.secure), (Some(share.rules.clone()), Some(1), Some(false)));
        assert_eq!(Share { rules: Vec::new(), ..share }.describe(), "off");
    }

    #[test]
    fn what_makes_no_sense_says_what_to_write() {
        for (wrong, part) in [
            ("rw", "'rw' follows no network: write one before it, as in 10.1.0.0/16 rw"),
            ("10.0.0.0/8 rwx", "'rwx' is no option of a share: write networks as 10.1.0.0/16"),
            ("10.0.0.0/8 anonuid=x", "'anonuid=x' is no option: write anonuid=NUMBER, as in anonuid=65534"),
            ("anongid=-1", "write anongid=NUMBER"),
            ("anonuid=5000000000", "write anonuid=NUMBER"),
            ("secure insecure", "secure is said twice"),
            ("anonuid=1 anonuid=1", "anonuid is said twice"),
            ("off 10.0.0.0/8", "'off' goes with nothing else"),
            ("x=1", "'x=1' is no option of a share"),
        ] {
            let found = SetShare::parse(wrong).unwrap_err();
            assert!(found.contains(part) && !found.contains('\n'), "{wrong}: {found}");
        }
    }
}
