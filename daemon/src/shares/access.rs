//! Which clients may use a share, and as whom.
//!
//! Invariant: a client that no rule names is not admitted, and no squashed caller is the superuser
//! unless the share names user 0 as its anonymous one.

use std::net::{IpAddr, SocketAddr};

use cow_storage::fs::{Caller, Credentials};

use crate::shares::Network;

/// Ports below this one need privileges on the client.
const PRIVILEGED_PORTS_END: u16 = 1024;

/// Which users of a client are mapped to the anonymous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Squash {
    /// None: the client's superuser is the share's.
    None,
    /// User 0, and group 0 wherever it is named.
    #[default]
    Root,
    /// Everybody.
    All,
}

/// What clients of one network may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The clients.
    pub network: Network,
    /// Whether they may change anything.
    pub writable: bool,
    /// Which of their users are mapped to the anonymous one.
    pub squash: Squash,
}

/// Who may use a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The most particular rule that contains a client counts, whatever the order.
    pub rules: Vec<Rule>,
    /// The user that squashed ones become.
    pub anonymous_uid: u32,
    /// The group that squashed ones become.
    pub anonymous_gid: u32,
    /// Whether calls must come from ports below 1024.
    pub privileged_port: bool,
}

impl Default for Access {
    /// Nobody is admitted yet; the anonymous user is 65534.
    fn default() -> Self {
        Self { rules: Vec::new(), anonymous_uid: 65_534, anonymous_gid: 65_534, privileged_port: false }
    }
}

/// Who a client says is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// Nobody in particular.
    Anonymous,
    /// A user, by numbers.
    User(Credentials),
}

/// Whose permissions count for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The caller, after squashing.
    pub caller: Caller,
    /// The group of what it makes, also for the superuser.
    pub group: u32,
}

/// How far a client is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether it may change anything.
    pub writable: bool,
    /// As whom it calls.
    pub identity: Identity,
}

impl Access {
    /// The rule that counts for a client.
    pub fn rule(&self, client: SocketAddr) -> Option<&Rule> {
        if self.privileged_port && client.port() >= PRIVILEGED_PORTS_END {
            return None;
        }
        self.rule_of_host(client.ip())
    }

    /// The rule that counts for a host, if it calls from a port that the share takes.
    pub fn rule_of_host(&self, client: IpAddr) -> Option<&Rule> {
        let matching = self.rules.iter().filter(|rule| rule.network.contains(client));
        // Of equally particular rules the first counts, as in a list that is read from the top.
        matching.rev().max_by_key(|rule| rule.network.prefix_bits())
    }

    /// Lets a caller in, mapped as the share says, or not.
    pub fn admit(&self, client: SocketAddr, identity: &ClientIdentity) -> Option<Admission> {
        let rule = self.rule(client)?;
        Some(Admission { writable: rule.writable, identity: self.squash(rule.squash, identity) })
    }

    fn squash(&self, squash: Squash, identity: &ClientIdentity) -> Identity {
        let anonymous = Credentials { uid: self.anonymous_uid, gid: self.anonymous_gid, groups: Vec::new() };
        let credentials = match (identity, squash) {
            (ClientIdentity::Anonymous, _) | (_, Squash::All) => anonymous,
            (ClientIdentity::User(user), Squash::Root) if user.uid == 0 => anonymous,
            (ClientIdentity::User(user), Squash::Root) => self.without_group_zero(user),
            (ClientIdentity::User(user), Squash::None) => user.clone(),
        };
        let group = credentials.gid;
        let caller = if credentials.uid == 0 { Caller::Superuser } else { Caller::User(credentials) };
        Identity { caller, group }
    }

    fn without_group_zero(&self, user: &Credentials) -> Credentials {
        let replaced = |gid: u32| if gid == 0 { self.anonymous_gid } else { gid };
        Credentials {
            uid: user.uid,
            gid: replaced(user.gid),
            groups: user.groups.iter().copied().map(replaced).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, gid: u32, groups: &[u32]) -> ClientIdentity {
        ClientIdentity::User(Credentials { uid, gid, groups: groups.to_vec() })
    }

    fn access(rules: &[(&str, bool, Squash)]) -> Access {
        let rules = rules.iter().map(|&(network, writable, squash)| Rule {
            network: network.parse().unwrap(),
            writable,
            squash,
        });
        Access { rules: rules.collect(), ..Access::default() }
    }

    #[test]
    fn the_most_particular_rule_counts() {
        let access = access(&[("10.0.0.0/8", false, Squash::All), ("10.1.0.0/16", true, Squash::None)]);
        let writable =
            |client: &str| access.admit(client.parse().unwrap(), &user(1, 1, &[])).map(|admission| admission.writable);
        assert_eq!(writable("10.1.2.3:700"), Some(true));
        assert_eq!(writable("10.2.2.3:700"), Some(false));
        assert_eq!(writable("11.1.2.3:700"), None);
        assert_eq!(writable("[::1]:700"), None);
    }

    #[test]
    fn privileged_ports_are_asked_for() {
        let access = Access { privileged_port: true, ..access(&[("::/0", true, Squash::None)]) };
        assert!(access.admit("[::1]:1023".parse().unwrap(), &ClientIdentity::Anonymous).is_some());
        assert!(access.admit("[::1]:1024".parse().unwrap(), &ClientIdentity::Anonymous).is_none());
    }

    #[test]
    fn squashing_leaves_no_trace_of_root() {
        let client = "10.0.0.1:700".parse().unwrap();
        let caller =
            |squash, identity| access(&[("10.0.0.0/8", true, squash)]).admit(client, &identity).unwrap().identity;
        let plain = |uid, gid, groups: &[u32]| Identity {
            caller: Caller::User(Credentials { uid, gid, groups: groups.to_vec() }),
            group: gid,
        };
        let nobody = plain(65_534, 65_534, &[]);
        assert_eq!(caller(Squash::None, user(0, 5, &[])), Identity { caller: Caller::Superuser, group: 5 });
        assert_eq!(caller(Squash::None, user(1, 0, &[0, 7])), plain(1, 0, &[0, 7]));
        assert_eq!(caller(Squash::Root, user(0, 0, &[0, 7])), nobody);
        assert_eq!(caller(Squash::Root, user(1, 0, &[0, 7])), plain(1, 65_534, &[65_534, 7]));
        assert_eq!(caller(Squash::All, user(1, 1, &[7])), nobody);
        assert_eq!(caller(Squash::None, ClientIdentity::Anonymous), nobody);
    }
}
