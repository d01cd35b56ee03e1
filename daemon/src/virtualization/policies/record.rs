//! What is remembered of a policy.

use cow_api::time::Time;
use cow_api::v1::{Code, Keep, PolicyKind, Problem};
use serde::{Deserialize, Serialize};

use crate::calendar::{Cron, Zone};
use crate::service::Answer;
use crate::state::Record;
use crate::virtualization::records::Sealed;

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
    /// When, in cron's five fields.
    pub schedule: String,
    /// In which time zone.
    pub zone: String,
    /// What it keeps.
    #[serde(default)]
    pub keep: Keep,
    /// The plugin's snapshot parameters.
    #[serde(default)]
    pub snapshot_parameters: Option<Sealed>,
    /// Whether it runs by itself.
    pub is_enabled: bool,
    /// The numbers of the sources that it is applied to.
    #[serde(default)]
    pub sources: Vec<u64>,
    /// Those of them with which it is due and has not begun: others work on them.
    #[serde(default)]
    pub pending: Vec<u64>,
    /// When it ran by itself last.
    #[serde(default)]
    pub last: Option<Time>,
    /// It has run as often as it was due up to then.
    pub since: Time,
}

impl Record for Policy {
    const TABLE: &'static str = "policy";
    const NOUN: &'static str = "policy";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Policy {
    /// Its schedule, and the zone of that.
    pub fn times(&self) -> Answer<(Cron, Zone)> {
        let wrong = |what: &str, why: String, hint: &str| {
            let detail = format!("the {what} of policy {} makes no sense: {why}", self.name);
            Problem::new(Code::InvalidRequest, detail).with_hint(hint.to_owned())
        };
        let cron = Cron::parse(&self.schedule)
            .map_err(|why| wrong("schedule", why, "'30 2 * * 1-5' is half past two on every working day"))?;
        let zone = Zone::parse(&self.zone).map_err(|why| {
            wrong("time zone", why, "name one as in 'Europe/Berlin', or UTC; hosts have them in tzdata")
        })?;
        Ok((cron, zone))
    }

    /// What its faults with a source are told of.
    pub fn fault(&self, source: &str) -> String {
        format!("policy {} on {source}", self.name)
    }

    /// Fails unless what it is to do can be done.
    pub fn check(&self) -> Answer<()> {
        self.times()?;
        let wrong = |detail: String, hint: &str| Err(Problem::new(Code::InvalidRequest, detail).with_hint(hint));
        let (is_retention, keeps) = (self.kind == PolicyKind::Retention, self.keep != Keep::default());
        if is_retention && !keeps {
            return wrong(
                format!("policy {} keeps nothing", self.name),
                "give at least one count, as in --keep-last 10",
            );
        }
        if !is_retention && keeps {
            return wrong(
                format!("policy {} keeps nothing by itself", self.name),
                "only retention policies have counts",
            );
        }
        if self.kind != PolicyKind::Sync && self.snapshot_parameters.is_some() {
            let detail = format!("policy {} has snapshot parameters", self.name);
            return wrong(detail, "only syncs take them: a VDB's snapshot has none");
        }
        Ok(())
    }
}
