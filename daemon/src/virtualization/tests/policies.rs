//! Policies: when they run, what they remove, and what they never do.

use std::collections::BTreeMap;

use cow_api::time::Time;
use cow_api::v1::{JobKind, Keep, NewBookmark, NewPolicy, Policy, PolicyChange, PolicyKind};

use super::*;
use crate::actions::Wanted;
use crate::calendar::Zone;
use crate::clock;

impl Site {
    fn policy(&self, kind: PolicyKind, keep: Option<Keep>, sources: &[&str]) -> Answer<Policy> {
        self.virtualization.add_policy(&NewPolicy {
            name: kind.as_str().to_owned(),
            kind,
            schedule: "0 * * * *".to_owned(),
            zone: Some("Europe/Berlin".to_owned()),
            keep,
            snapshot_parameters: None,
            sources: sources.iter().map(|&name| name.to_owned()).collect(),
        })
    }

    /// Ticks so many hours from now, and waits for what that began.
    fn tick(&self, scheduler: &mut Scheduler, hours: i64) -> Duration {
        let now = clock::time(clock::now());
        let rest = scheduler.tick(&self.virtualization, Time { seconds: now.seconds + 3600 * hours, ..now });
        for job in self.virtualization.jobs.list() {
            self.virtualization.jobs.wait(job.id, LONG).unwrap();
        }
        rest
    }

    fn count(&self, kind: JobKind) -> usize {
        self.virtualization.jobs.list().iter().filter(|job| job.kind == kind).count()
    }

    fn faults(&self) -> Vec<String> {
        self.virtualization.faults().unwrap().faults.into_iter().map(|fault| fault.subject).collect()
    }
}

#[test]
fn what_is_due_runs_once_whatever_was_missed_and_waits_for_others() {
    let mut site = Site::new(PluginType::Staged);
    provisioned(&site);
    for (kind, name) in [(PolicyKind::Sync, "sales"), (PolicyKind::Refresh, "test"), (PolicyKind::Snapshot, "test")] {
        site.policy(kind, None, &[name]).unwrap();
    }
    let counts = |site: &Site| [JobKind::Sync, JobKind::Refresh, JobKind::Snapshot].map(|kind| site.count(kind));
    let mut scheduler = Scheduler::default();
    assert!(site.tick(&mut scheduler, 0) <= Duration::from_secs(60));
    assert_eq!(counts(&site), [0, 0, 0]);
    // The refresh works on the VDB, so the snapshot waits for it.
    assert!(site.tick(&mut scheduler, 1) <= Duration::from_secs(1));
    assert_eq!(counts(&site), [1, 1, 0]);
    site.tick(&mut scheduler, 1);
    site.tick(&mut scheduler, 1);
    assert_eq!(counts(&site), [1, 1, 1]);
    site.tick(&mut scheduler, 9);
    site.tick(&mut scheduler, 9);
    assert_eq!(counts(&site), [2, 2, 2], "eight times were missed, and made up for once");
    let shown = site.virtualization.policy("sync").unwrap();
    assert!(shown.next.unwrap().seconds - shown.last.unwrap().seconds <= 3600);
    // What waits when cowd is killed begins in the next one.
    let busy = site.virtualization.occupy(&site.virtualization.made("sales").unwrap()).unwrap_or_else(|_| panic!());
    site.tick(&mut scheduler, 10);
    assert_eq!(counts(&site)[0], 2);
    drop(busy);
    site.restart();
    let mut scheduler = Scheduler::default();
    site.tick(&mut scheduler, 10);
    assert_eq!(site.count(JobKind::Sync), 3, "jobs are remembered");
    // What is busy all the time is told.
    let busy = site.virtualization.occupy(&site.virtualization.made("sales").unwrap()).unwrap_or_else(|_| panic!());
    site.tick(&mut scheduler, 11);
    site.tick(&mut scheduler, 11);
    assert_eq!(site.faults(), Vec::<String>::new());
    site.tick(&mut scheduler, 12);
    assert_eq!(site.faults(), ["policy sync on sales"]);
    drop(busy);
    site.tick(&mut scheduler, 12);
    site.tick(&mut scheduler, 12);
    assert_eq!((site.faults(), site.count(JobKind::Sync)), (Vec::new(), 4));
    // Whose it was is recorded.
    let wanted = Wanted { who: Some("policy sync".to_owned()), count: 10, ..Wanted::default() };
    let actions = site.virtualization.actions.list(&wanted).unwrap().actions;
    let is_right = |action: &v1::Action| action.job.is_some() && action.details["name"] == "sales";
    assert!(actions.len() == 4 && actions.iter().all(is_right), "{actions:?}");
}

#[test]
fn what_fails_is_a_fault_until_it_does_not_and_what_is_off_stays_so() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    site.policy(PolicyKind::Snapshot, None, &["test"]).unwrap();
    let mut scheduler = Scheduler::default();
    site.world.make(Trouble::FailBefore(0));
    site.tick(&mut scheduler, 1);
    site.tick(&mut scheduler, 1);
    assert_eq!(site.faults(), ["policy snapshot on test"]);
    site.tick(&mut scheduler, 2);
    site.tick(&mut scheduler, 2);
    assert_eq!((site.faults(), site.count(JobKind::Snapshot)), (Vec::new(), 2));
    site.done(site.order("test", SourceOrder::Disable));
    site.tick(&mut scheduler, 3);
    site.done(site.order("test", SourceOrder::Enable));
    let set = |is_enabled| {
        let change = PolicyChange { is_enabled: Some(is_enabled), ..PolicyChange::default() };
        site.virtualization.set_policy("snapshot", &change).unwrap()
    };
    assert_eq!(set(false).next, None);
    site.tick(&mut scheduler, 5);
    set(true);
    site.tick(&mut scheduler, 0);
    assert_eq!((site.faults(), site.count(JobKind::Snapshot)), (Vec::new(), 2));
    site.world.make(Trouble::FailBefore(0));
    site.tick(&mut scheduler, 6);
    site.tick(&mut scheduler, 6);
    assert_eq!(site.faults(), ["policy snapshot on test"]);
    site.done(site.order("test", SourceOrder::Delete { force: false }));
    assert_eq!(site.faults(), Vec::<String>::new(), "the fault goes with the source");
    assert_eq!(site.virtualization.policy("snapshot").unwrap().sources, Vec::<String>::new());
    site.tick(&mut scheduler, 9);
    site.virtualization.remove_policy("snapshot").unwrap();
    site.tick(&mut scheduler, 19);
    assert_eq!((site.faults(), site.count(JobKind::Snapshot)), (Vec::new(), 3));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let keep = |last| Some(Keep { last, ..Keep::default() });
    let new = |change: &dyn Fn(&mut NewPolicy)| {
        let mut new = NewPolicy {
            name: "p".to_owned(),
            kind: PolicyKind::Sync,
            schedule: "@daily".to_owned(),
            zone: None,
            keep: None,
            snapshot_parameters: None,
            sources: Vec::new(),
        };
        change(&mut new);
        site.virtualization.add_policy(&new)
    };
    site.policy(PolicyKind::Retention, keep(1), &["test"]).unwrap();
    for (outcome, code) in [
        (new(&|new| new.schedule = "0 0 30 2 *".to_owned()), Code::InvalidRequest),
        (new(&|new| new.zone = Some("Nowhere".to_owned())), Code::InvalidRequest),
        (new(&|new| new.name = "a b".to_owned()), Code::InvalidName),
        (new(&|new| new.name = "retention".to_owned()), Code::Exists),
        (new(&|new| new.keep = keep(1)), Code::InvalidRequest),
        (new(&|new| new.kind = PolicyKind::Retention), Code::InvalidRequest),
        (
            new(&|new| (new.kind, new.snapshot_parameters) = (PolicyKind::Snapshot, Some(json!({})))),
            Code::InvalidRequest,
        ),
        (new(&|new| new.sources = vec!["test".to_owned()]), Code::InvalidRequest),
        (new(&|new| (new.kind, new.sources) = (PolicyKind::Refresh, vec!["sales".to_owned()])), Code::InvalidRequest),
        (new(&|new| new.sources = vec!["nobody".to_owned()]), Code::NotFound),
        (
            new(&|new| {
                (new.kind, new.keep, new.sources) = (PolicyKind::Retention, keep(2), vec!["test".to_owned()]);
            }),
            Code::Conflict,
        ),
    ] {
        assert_eq!(outcome.unwrap_err().code, code);
    }
    assert_eq!(site.virtualization.policies().unwrap().policies.len(), 1);
}

/// A generator that needs no more than to be the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Gives the snapshots of a source other times, from a random past on, in their order.
fn spread(site: &Site, dice: &mut Dice, name: &str) {
    let change = |edit: &crate::state::Edit<'_>| {
        let id = edit.named::<Source>(name)?.id;
        let mut seconds = 1_700_000_000 + dice.below(10_000_000) as i64;
        for mut row in edit.owned::<Point>(id)? {
            seconds += [60, 3_000, 50_000, 400_000, 3_000_000][dice.below(5)];
            row.record.created = Time { seconds, nanoseconds: 0 };
            edit.update(row.id, &row.record)?;
        }
        Ok(())
    };
    site.virtualization.state.write(change).unwrap();
}

/// A site with a history: snapshots on several timeflows, some bookmarked, held, or mounted.
fn history(dice: &mut Dice) -> Site {
    let site = Site::new(PluginType::Staged);
    linked(&site);
    site.done(site.provision(Some("sales")));
    for round in 0..6 + dice.below(8) {
        let points = site.virtualization.timeline("test").unwrap().timeflows;
        let points: Vec<String> =
            points.into_iter().flat_map(|flow| flow.snapshots).map(|snapshot| snapshot.name).collect();
        let any = points[dice.below(points.len())].clone();
        match dice.below(9) {
            0 | 1 => site.done(site.order("test", SourceOrder::Refresh { to: None })),
            2 => site.done(site.order("test", SourceOrder::Rewind { to: Some(any) })),
            3 => drop(site.virtualization.add_bookmark(&NewBookmark { name: format!("b{round}"), snapshot: any })),
            4 => site.world.hold(&any, "mine").unwrap(),
            5 => site.world.mount_here(&any, &PathBuf::from(format!("/mnt/{round}"))).unwrap(),
            6 => {
                // Somebody's own, of which cow knows no more than that it is there.
                let dataset = any.split_once('@').unwrap().0.to_owned();
                site.world.snapshot(&format!("{dataset}@mine{round}")).unwrap();
            }
            _ => site.done(site.order("test", SourceOrder::Snapshot)),
        }
    }
    spread(&site, dice, "test");
    site
}

#[test]
fn of_any_history_a_policy_removes_what_its_grid_and_nobody_else_keeps() {
    for seed in 1..=40_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let site = history(&mut dice);
        let mut count = || dice.below(3) as u32;
        let keep = Keep { last: 1 + count(), hourly: count(), daily: count(), weekly: 0, monthly: count(), yearly: 0 };
        site.policy(PolicyKind::Retention, Some(keep), &["test"]).unwrap();
        let (before, flows) = (site.all().0, site.virtualization.timeline("test").unwrap().timeflows);
        let mut points: Vec<(String, Time)> =
            flows.iter().flat_map(|flow| &flow.snapshots).map(|point| (point.name.clone(), point.created)).collect();
        points.sort_by_key(|(_, created)| std::cmp::Reverse(*created));

        // What stays, by what this test itself knows.
        let times: Vec<Time> = points.iter().map(|(_, created)| *created).collect();
        let grid = crate::retention::reasons(&keep, &Zone::parse("Europe/Berlin").unwrap(), &times);
        let current = flows.iter().find(|flow| flow.is_current).unwrap();
        let stays = |at: usize| {
            let name = &points[at].0;
            let is_current = current.snapshots.last().is_some_and(|newest| newest.name == *name);
            let is_held = before.holds.iter().any(|(held, _)| held == name);
            let is_mounted = before.mounts_here.values().any(|mounted| mounted == name);
            at == 0 || is_current || is_held || is_mounted || !grid[at].is_empty()
        };
        let kept: BTreeMap<&str, bool> = (0..points.len()).map(|at| (points[at].0.as_str(), stays(at))).collect();

        let dry = site.virtualization.run_policy("retention", true).unwrap().sources.remove(0);
        assert!(dry.job.is_none() && dry.problem.is_none());
        assert_eq!(site.all().0, before, "seed {seed}: what was only asked changes nothing");
        let told: BTreeMap<&str, bool> =
            dry.snapshots.iter().map(|verdict| (verdict.snapshot.as_str(), !verdict.kept.is_empty())).collect();
        assert_eq!(told, kept, "seed {seed}");
        let run = site.virtualization.run_policy("retention", false).unwrap().sources.remove(0);
        site.done(Ok(run.job.unwrap()));

        let after = site.all().0;
        let goes = |dataset: &str| dry.timeflows.iter().any(|flow| flow == dataset);
        for snapshot in &before.snapshots {
            let is_kept = kept.get(snapshot.as_str()).copied().unwrap_or(true);
            assert_eq!(after.snapshots.contains(snapshot), is_kept, "seed {seed}: {snapshot}");
        }
        for dataset in &before.datasets {
            assert_eq!(after.datasets.contains(dataset), !goes(dataset), "seed {seed}: {dataset}");
        }
        // A timeflow goes when nothing is left of it, unless the next refresh has to know where the VDB came from.
        let own = |flow: &v1::Timeflow| flow.from.as_ref().is_none_or(|from| from.starts_with("vdb/test/"));
        let origin = flows.iter().rfind(|flow| !own(flow)).map(|flow| flow.number);
        for flow in &flows {
            let within = format!("{}@", flow.dataset);
            let is_used = before.mounts_here.values().any(|mounted| mounted.starts_with(&within));
            let is_left = after.snapshots.iter().any(|snapshot| snapshot.starts_with(&within));
            let stays = flow.is_current || origin == Some(flow.number) || is_left || is_used;
            assert_eq!(goes(&flow.dataset), !stays, "seed {seed}: {flow:?}");
        }
        // And everything still works.
        let again = site.virtualization.run_policy("retention", true).unwrap().sources.remove(0);
        assert!(again.timeflows.is_empty() || !again.timeflows.iter().any(|flow| goes(flow)));
        for order in [
            SourceOrder::Disable,
            SourceOrder::Enable,
            SourceOrder::Rewind { to: None },
            SourceOrder::Refresh { to: None },
            SourceOrder::Snapshot,
        ] {
            site.done(site.order("test", order));
        }
        assert_eq!(site.faults(), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn what_a_job_needs_is_kept_until_it_has_ended() {
    let site = Site::new(PluginType::Staged);
    linked(&site);
    let (_, point) = site.virtualization.point("sales").unwrap();
    site.done(site.order("sales", SourceOrder::Sync { snapshot_parameters: None }));
    site.policy(PolicyKind::Retention, Some(Keep { last: 1, ..Keep::default() }), &["sales"]).unwrap();
    let retain = || {
        let run = site.virtualization.run_policy("retention", false).unwrap().sources.remove(0);
        site.done(Ok(run.job.unwrap()));
        site.world.seen().snapshots.contains(&point.record.name)
    };
    let needed = site.virtualization.need(&point).unwrap_or_else(|_| panic!());
    assert!(retain());
    drop(needed);
    assert!(!retain());
    assert_eq!(site.virtualization.need(&point).err().unwrap().code, Code::NotFound);
    assert!(site.virtualization.needed.lock().is_empty());
}

#[test]
fn a_policy_s_snapshot_parameters_go_before_those_that_the_source_stores() {
    let site = Site::new(PluginType::Staged);
    let stored = json!({"full": "stored"});
    let request =
        LinkSource { snapshot_parameters: Some(stored.clone()), store_snapshot_parameters: true, ..site.request() };
    site.done(site.virtualization.link(&request));
    let own = json!({"full": "policy"});
    let with_own = NewPolicy {
        name: "own".to_owned(),
        kind: PolicyKind::Sync,
        schedule: "@daily".to_owned(),
        zone: None,
        keep: None,
        snapshot_parameters: Some(own.clone()),
        sources: vec!["sales".to_owned()],
    };
    site.virtualization.add_policy(&with_own).unwrap();
    let without = NewPolicy { name: "none".to_owned(), snapshot_parameters: None, ..with_own };
    site.virtualization.add_policy(&without).unwrap();
    let given = |policy: &str| {
        site.world.inner.lock().given.clear();
        let run = site.virtualization.run_policy(policy, false).unwrap().sources.remove(0);
        site.done(run.problem.map_or_else(|| Ok(run.job.unwrap()), Err));
        site.world.inner.lock().given.clone()
    };
    assert_eq!(given("own"), [Some(own)]);
    assert_eq!(given("none"), [Some(stored)]);
    let changed = json!({"full": "changed"});
    let change = PolicyChange { snapshot_parameters: Some(changed.clone()), ..PolicyChange::default() };
    site.virtualization.set_policy("own", &change).unwrap();
    assert_eq!(given("own"), [Some(changed)]);
}
