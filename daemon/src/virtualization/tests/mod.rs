//! Every workflow against a world in memory: in order, with every call failing in turn, and with cowd killed at each.

mod asked;
mod differences;
mod names;
mod policies;
mod upgrades;
mod workers;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cow_api::v1::{self, JobState, LinkSource, Provision, SourceOrder};
use serde_json::json;

use super::*;
use crate::jobs::Limits;
use crate::plugins::{Package, PluginType};
use crate::virtualization::records::{Found, Hook, HookPoint, Point, Repository, Source, SourceConfig, Timeflow};
use world::{Seen, Trouble, World};

const LONG: Duration = Duration::from_secs(60);

const ACTIONS: crate::actions::Limits = crate::actions::Limits { kept: 100, age: LONG };

/// A world, and a cowd that can be killed in it.
struct Site {
    world: Arc<World>,
    directory: PathBuf,
    virtualization: Arc<Virtualization>,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn cowd(world: &Arc<World>, directory: &std::path::Path) -> Arc<Virtualization> {
    let state = Arc::new(State::open(directory).unwrap());
    let limits = Limits { running: 2, kept: 1000 };
    let jobs = Jobs::new(limits, Arc::default(), state.clone()).unwrap();
    *world.jobs.lock() = Arc::downgrade(&jobs);
    Virtualization::new(Parts {
        jobs,
        actions: Arc::new(Actions::new(state.clone(), ACTIONS)),
        key: Key::load_or_create(&directory.join("key")).unwrap(),
        state,
        store: world.clone(),
        ground: world.clone(),
        packages: world.clone(),
        caller: world.clone(),
        scratch: directory.join("scratch"),
    })
}

impl Site {
    fn new(plugin_type: PluginType) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // In memory: hundreds of crashes are thousands of syncs.
        let directory = PathBuf::from(format!("/dev/shm/cow-recipes-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let world = World::new(plugin_type);
        let virtualization = cowd(&world, &directory);
        for environment in [1, 2] {
            let found = Found {
                on: environment,
                plugin: world.package.id.clone(),
                name: "installation".to_owned(),
                identity: "{}".to_owned(),
                parameters: virtualization.seal(&json!({})).unwrap(),
                is_lost: false,
                is_manual: false,
            };
            virtualization.state.write(|edit| edit.insert(&Repository(found))).unwrap();
        }
        Self { world, directory, virtualization }
    }

    /// The daemon after a kill.
    fn restart(&mut self) {
        self.virtualization = cowd(&self.world, &self.directory);
        let interrupted = self.virtualization.interrupted().unwrap();
        self.virtualization.recover(interrupted);
    }

    fn ended(&self, job: Answer<v1::Job>) -> v1::Job {
        self.virtualization.jobs.wait(job.unwrap().id, LONG).unwrap()
    }

    fn done(&self, job: Answer<v1::Job>) {
        let job = self.ended(job);
        assert_eq!(job.progress.state, JobState::Done, "{job:?}\n{:?}", self.virtualization.jobs.log(job.id));
    }

    fn order(&self, name: &str, order: SourceOrder) -> Answer<v1::Job> {
        self.virtualization.order(name, order)
    }

    fn request(&self) -> LinkSource {
        LinkSource {
            name: "sales".to_owned(),
            plugin: "model".to_owned(),
            environment: "h1".to_owned(),
            parameters: json!({"paths": [{"path": "/staging"}]}),
            config_parameters: Some(json!({"name": "db"})),
            ..LinkSource::default()
        }
    }

    fn link(&self) -> Answer<v1::Job> {
        self.virtualization.link(&self.request())
    }

    fn link_with_hooks(&self) -> Answer<v1::Job> {
        let hooks = vec![new_hook(HookPoint::PreSync), new_hook(HookPoint::PostSync)];
        self.virtualization.link(&LinkSource { hooks, ..self.request() })
    }

    fn provision_with_hooks(&self) -> Answer<v1::Job> {
        let hooks = vec![new_hook(HookPoint::ConfigureClone)];
        self.virtualization.provision(&Provision { hooks, ..self.provision_request(Some("sales")) })
    }

    fn provision(&self, from: Option<&str>) -> Answer<v1::Job> {
        self.virtualization.provision(&self.provision_request(from))
    }

    fn provision_request(&self, from: Option<&str>) -> Provision {
        Provision {
            name: "test".to_owned(),
            from: from.map(str::to_owned),
            plugin: from.is_none().then(|| "model".to_owned()),
            environment: "h2".to_owned(),
            parameters: json!({"paths": [{"path": "/vdb"}, {"path": "/vdb2", "shared": "part"}]}),
            ..Provision::default()
        }
    }

    fn hook(&self, name: &str, at: HookPoint) {
        let virtualization = &self.virtualization;
        let source = virtualization.state.read(|view| view.named::<Source>(name)).unwrap().id;
        let script = virtualization.seal(&json!(at.as_str())).unwrap();
        let hook = Hook { source, at, name: at.as_str().to_owned(), script, place: None };
        virtualization.state.write(|edit| edit.insert(&hook)).unwrap();
    }

    /// All that must be as before, or as after: the world, and what is remembered of it, times and seals apart.
    fn all(&self) -> (Seen, Vec<String>) {
        let remembered = self.virtualization.state.read(|view| {
            let sources = view.all::<Source>()?.into_iter().map(|row| {
                let source = row.record;
                let (mounts, flow) = (source.mounts, source.timeflow);
                let (made, enabled, stopped) = (source.is_made, source.is_enabled, source.is_stopped);
                format!("{} {mounts:?} {flow:?} {made} {enabled} {stopped}", source.name)
            });
            let flows = view.all::<Timeflow>()?.into_iter();
            let flows = flows.map(|row| format!("{} {} {:?}", row.id, row.record.dataset, row.record.from));
            let points = view.all::<Point>()?.into_iter().map(|row| row.record.name);
            let hooks = view.all::<Hook>()?.into_iter().map(|row| format!("{} {}", row.record.source, row.record.name));
            Ok(sources.chain(flows).chain(points).chain(hooks).collect())
        });
        (Seen { forced: Default::default(), ..self.world.seen() }, remembered.unwrap())
    }
}

fn new_hook(at: HookPoint) -> v1::NewHook {
    let name = at.as_str().to_owned();
    v1::NewHook { script: name.clone(), name, at, environment: None, user: None }
}

/// A workflow: what goes before it, and it.
struct Workflow {
    name: &'static str,
    plugin_type: PluginType,
    prepare: fn(&Site),
    begin: fn(&Site) -> Answer<v1::Job>,
}

fn linked(site: &Site) {
    site.done(site.link());
}

fn provisioned(site: &Site) {
    linked(site);
    site.done(site.provision(Some("sales")));
    for at in [HookPoint::PreRefresh, HookPoint::PostRefresh, HookPoint::ConfigureClone, HookPoint::PreStop] {
        site.hook("test", at);
    }
}

fn linked_with_hooks(site: &Site) {
    site.done(site.link_with_hooks());
}

fn provisioned_with_hooks(site: &Site) {
    provisioned(site);
    for at in [HookPoint::PreSnapshot, HookPoint::PostSnapshot] {
        site.hook("test", at);
    }
}

fn stopped(site: &Site) {
    provisioned(site);
    site.done(site.order("test", SourceOrder::Stop));
    for at in [HookPoint::PostStart, HookPoint::PostStop] {
        site.hook("test", at);
    }
}

/// With two timeflows that are over, and a policy that keeps one snapshot.
fn to_be_thinned(site: &Site) {
    provisioned(site);
    for _ in 0..2 {
        site.done(site.order("test", SourceOrder::Refresh { to: None }));
    }
    let policy = v1::NewPolicy {
        name: "thin".to_owned(),
        kind: v1::PolicyKind::Retention,
        schedule: "@daily".to_owned(),
        zone: None,
        keep: Some(v1::Keep { last: 1, ..v1::Keep::default() }),
        snapshot_parameters: None,
        sources: vec!["test".to_owned()],
    };
    site.virtualization.add_policy(&policy).unwrap();
}

fn thin(site: &Site) -> Answer<v1::Job> {
    let run = site.virtualization.run_policy("thin", false)?.sources.remove(0);
    run.problem.map_or_else(|| Ok(run.job.unwrap()), Err)
}

fn disabled(site: &Site) {
    provisioned(site);
    site.done(site.order("test", SourceOrder::Disable));
}

fn workflows() -> Vec<Workflow> {
    let staged = |name, prepare, begin| Workflow { name, plugin_type: PluginType::Staged, prepare, begin };
    let mut all = vec![
        staged("link", |_| {}, Site::link),
        staged("sync", linked, |site| site.order("sales", SourceOrder::Sync { snapshot_parameters: None })),
        staged("provision", linked, |site| site.provision(Some("sales"))),
        staged("link with hooks", |_| {}, Site::link_with_hooks),
        staged("provision with hooks", linked, Site::provision_with_hooks),
        staged("provision empty", |_| {}, |site| site.provision(None)),
        staged("snapshot", provisioned, |site| site.order("test", SourceOrder::Snapshot)),
        staged("sync with hooks", linked_with_hooks, |site| {
            site.order("sales", SourceOrder::Sync { snapshot_parameters: None })
        }),
        staged("snapshot with hooks", provisioned_with_hooks, |site| site.order("test", SourceOrder::Snapshot)),
        staged("refresh", provisioned, |site| site.order("test", SourceOrder::Refresh { to: None })),
        staged("rewind", provisioned, |site| site.order("test", SourceOrder::Rewind { to: None })),
        staged("stop", provisioned, |site| site.order("test", SourceOrder::Stop)),
        staged("start", stopped, |site| site.order("test", SourceOrder::Start)),
        staged("stop again", stopped, |site| site.order("test", SourceOrder::Stop)),
        staged("refresh what is stopped", stopped, |site| site.order("test", SourceOrder::Refresh { to: None })),
        staged("disable", provisioned, |site| site.order("test", SourceOrder::Disable)),
        staged("enable", disabled, |site| site.order("test", SourceOrder::Enable)),
        staged("delete", provisioned, |site| site.order("test", SourceOrder::Delete { force: false })),
        staged("delete by force", provisioned, |site| site.order("test", SourceOrder::Delete { force: true })),
        staged("delete disabled by force", disabled, |site| site.order("test", SourceOrder::Delete { force: true })),
        staged("unlink by force", linked, |site| site.order("sales", SourceOrder::Delete { force: true })),
        staged("delete disabled", disabled, |site| site.order("test", SourceOrder::Delete { force: false })),
        staged("unlink", linked, |site| site.order("sales", SourceOrder::Delete { force: false })),
        staged("retain", to_be_thinned, thin),
        staged("physical", linked, |site| {
            site.order(
                "sales",
                SourceOrder::Physical {
                    from: None,
                    environment: "h2".to_owned(),
                    user: None,
                    directory: "/restored".to_owned(),
                    parameters: json!({}),
                },
            )
        }),
    ];
    let direct = |name, prepare, begin| Workflow { name, plugin_type: PluginType::Direct, prepare, begin };
    all.push(direct("link direct", |_| {}, Site::link));
    all.push(direct("sync direct", linked, |site| {
        site.order("sales", SourceOrder::Sync { snapshot_parameters: None })
    }));
    all
}

/// What a source's snapshots are called differs with the time.
fn untimed((mut seen, remembered): (Seen, Vec<String>)) -> (Seen, Vec<String>) {
    let mut counted = 0;
    let mut untimed = |name: &str| match name.split_once('@') {
        Some((dataset, _)) if !name.contains(' ') => {
            counted += 1;
            format!("{dataset}@{counted}")
        }
        _ => name.split('@').next().unwrap_or(name).to_owned(),
    };
    seen.snapshots = seen.snapshots.iter().map(|name| untimed(name)).collect();
    counted_out(&mut seen);
    (seen, remembered.iter().map(|name| untimed(name)).collect())
}

fn counted_out(seen: &mut Seen) {
    seen.mounts_here.values_mut().for_each(|name| name.truncate(name.find('@').unwrap_or(name.len())));
}

/// Prepares a site, lets the workflow run into trouble, and returns the site with what was there before and how the job
/// ended.
fn troubled(workflow: &Workflow, trouble: Trouble) -> (Site, (Seen, Vec<String>), v1::Job) {
    let site = Site::new(workflow.plugin_type);
    (workflow.prepare)(&site);
    let before = site.all();
    site.world.make(trouble);
    let job = site.ended((workflow.begin)(&site));
    (site, before, job)
}

/// Whether hooks ran that are to undo what others did, in so many logs one after the other.
fn hooks_were_undone(logs: &[Vec<String>]) -> bool {
    let last =
        |hook: &str| logs.iter().flatten().enumerate().filter(|(_, line)| *line == hook).last().map(|(at, _)| at);
    let pairs = [("hook pre-sync", "hook post-sync"), ("hook pre-snapshot", "hook post-snapshot")];
    pairs.iter().all(|(before, after)| last(before) <= last(after))
}

#[test]
fn whenever_a_job_is_cancelled_all_is_as_before_or_as_after_and_the_job_says_which() {
    for workflow in workflows() {
        let (site, _, _) = troubled(&workflow, Trouble::None);
        let (after, calls) = (untimed(site.all()), site.world.calls());
        let mut states = Vec::new();
        for at in 0..calls {
            let (site, before, job) = troubled(&workflow, Trouble::Cancel(at));
            let log = site.world.log();
            let said = format!("{} at {at}: {log:?} {:?}", workflow.name, site.virtualization.jobs.log(job.id));
            match job.progress.state {
                JobState::Cancelled => assert_eq!(site.all(), before, "{said}"),
                JobState::Done => assert_eq!(untimed(site.all()), after, "{said}"),
                state => panic!("{state:?} {said}"),
            }
            assert!(hooks_were_undone(&[log]), "{said}");
            assert_eq!(site.virtualization.faults().unwrap().faults, [], "{said}");
            states.push(job.progress.state);
            if job.progress.state == JobState::Cancelled {
                site.world.make(Trouble::None);
                site.done((workflow.begin)(&site));
                assert_eq!(untimed(site.all()).0, after.0, "{said}");
            }
        }
        // What a policy removes is nothing that a cancelled job could keep: that is decided before its first call.
        let is_decided = workflow.name == "retain";
        assert_eq!(states.first() == Some(&JobState::Cancelled), !is_decided, "{}: {states:?}", workflow.name);
    }
}

#[test]
fn whatever_call_fails_all_is_as_before() {
    for workflow in workflows() {
        let (site, _, job) = troubled(&workflow, Trouble::None);
        assert_eq!(job.progress.state, JobState::Done, "{}: {job:?}", workflow.name);
        assert!(site.world.seen().forced.is_empty(), "{}", workflow.name);
        let after = untimed(site.all());
        let calls = site.world.calls();
        assert!(calls > 1, "{}: {calls}", workflow.name);
        for at in 0..calls {
            for trouble in [Trouble::FailBefore(at), Trouble::FailAfter(at)] {
                let (site, before, job) = troubled(&workflow, trouble);
                let said = format!("{} with {trouble:?}: {:?}", workflow.name, site.virtualization.jobs.log(job.id));
                if job.progress.state == JobState::Done {
                    // What failed was left to do after the commit; it is tried again.
                    site.virtualization.settle_debts().unwrap();
                    assert_eq!(untimed(site.all()), after, "{said}");
                } else {
                    site.virtualization.settle_debts().unwrap();
                    assert_eq!(site.all(), before, "{said}");
                }
                let is_forced = workflow.name.ends_with("by force");
                assert!(!is_forced || job.progress.state == JobState::Done, "{said}");
                assert!(hooks_were_undone(&[site.world.log()]), "{said}");
                assert_eq!(site.virtualization.faults().unwrap().faults, [], "{said}");
            }
        }
    }
}

#[test]
fn what_is_deleted_by_force_goes_once_its_hosts_are_back() {
    for workflow in workflows().into_iter().filter(|workflow| workflow.name.ends_with("by force")) {
        let (site, _, _) = troubled(&workflow, Trouble::None);
        let (after, calls) = (untimed(site.all()), site.world.calls());
        for at in 0..calls {
            // From then on nothing answers, as when a host is gone.
            let (site, _, job) = troubled(&workflow, Trouble::Kill(at));
            let said = format!("{} from {at}: {:?}", workflow.name, site.virtualization.jobs.log(job.id));
            assert_eq!(job.progress.state, JobState::Done, "{said}");
            assert_eq!(site.virtualization.faults().unwrap().faults.len(), 1, "{said}");
            site.world.make(Trouble::None);
            site.virtualization.settle_debts().unwrap();
            assert_eq!(untimed(site.all()), after, "{said}");
            assert_eq!(site.virtualization.faults().unwrap().faults, [], "{said}");
        }
    }
}

#[test]
fn what_is_left_to_do_on_a_host_that_is_known_no_more_is_dropped() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    site.world.make(Trouble::Kill(0));
    let job = site.ended(site.order("test", SourceOrder::Delete { force: true }));
    assert_eq!(job.progress.state, JobState::Done, "{job:?}");
    site.world.make(Trouble::None);
    let mut inner = site.world.inner.lock();
    inner.forgotten = Some(2);
    inner.seen.mounts.retain(|(environment, _), _| *environment != 2);
    drop(inner);
    site.virtualization.settle_debts().unwrap();
    assert_eq!(site.virtualization.faults().unwrap().faults, []);
    assert!(!site.world.seen().datasets.iter().any(|name| name.starts_with("vdb/test")));
}

#[test]
fn whenever_cowd_is_killed_all_is_as_before_or_as_after_and_the_job_says_which() {
    for workflow in workflows() {
        let (site, _, job) = troubled(&workflow, Trouble::None);
        assert_eq!(job.progress.state, JobState::Done, "{}: {job:?}", workflow.name);
        let (after, calls) = (untimed(site.all()), site.world.calls());
        // The last time it is killed when all is done, but for saying so.
        for at in 0..=calls {
            let (mut site, before, job) = troubled(&workflow, Trouble::Kill(at));
            // The dead daemon said that it had failed; what the next one reads is what had been written until then.
            forget_the_end(&site, job.id, if at % 2 == 0 { JobState::Queued } else { JobState::Running });
            let log = site.world.log();
            site.world.make(Trouble::None);
            site.restart();
            let said = format!("{} killed at {at}: {:?}", workflow.name, site.virtualization.jobs.log(job.id));
            let ended = site.virtualization.jobs.get(job.id).unwrap();
            match ended.progress.state {
                JobState::Done => {
                    assert_eq!(untimed(site.all()), after, "{said}");
                }
                JobState::Failed | JobState::Cancelled if at < calls => assert_eq!(site.all(), before, "{said}"),
                state => panic!("{state:?} {said}"),
            }
            assert_eq!(site.virtualization.faults().unwrap().faults, [], "{said}");
            assert!(hooks_were_undone(&[log, site.world.log()]), "{said}");
            // And it can be done again, or is done.
            if ended.progress.state != JobState::Done {
                site.done((workflow.begin)(&site));
                assert_eq!(untimed(site.all()).0, after.0, "{said}");
            }
        }
    }
}

/// Puts a job back to what its daemon had written when it was killed: that it waits, before its first step.
fn forget_the_end(site: &Site, id: u64, state: JobState) {
    site.virtualization
        .state
        .write(|edit| {
            let mut row = edit.find::<crate::jobs::Remembered>(0, &id.to_string())?.unwrap();
            let job = &mut row.record.job;
            (job.progress.state, job.ended, job.problem, job.report) = (state, None, None, None);
            edit.update(row.id, &row.record)
        })
        .unwrap();
}

#[test]
fn operations_are_called_in_the_contract_s_order() {
    let site = Site::new(PluginType::Staged);
    let happened = |begin: Answer<v1::Job>| {
        site.done(begin);
        let log = site.world.log();
        site.world.make(Trouble::None);
        log.into_iter()
            .filter(|line| !line.starts_with("own") && !["ids", "address"].contains(&line.as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        happened(site.link()),
        [
            "create dsource/sales/1",
            "linked.mount_specification",
            "share dsource/sales/1 1",
            "mount /dsource/sales/1 /staging",
            "linked.pre_snapshot",
            "snapshot",
            "linked.post_snapshot",
        ]
    );
    for at in [HookPoint::PreSync, HookPoint::PostSync] {
        site.hook("sales", at);
    }
    assert_eq!(
        happened(site.order("sales", SourceOrder::Sync { snapshot_parameters: None })),
        [
            "linked.mount_specification",
            "hook pre-sync",
            "linked.pre_snapshot",
            "snapshot",
            "linked.post_snapshot",
            "hook post-sync",
        ]
    );
    let provisioned = happened(site.provision(Some("sales")));
    assert_eq!(provisioned[0], "create vdb/test");
    assert!(provisioned[1].starts_with("clone dsource/sales/1@"));
    assert_eq!(
        provisioned[2..],
        [
            "virtual.mount_specification",
            "share vdb/test/1 1",
            "mount /vdb/test/1 /vdb",
            "mount /vdb/test/1/part /vdb2",
            "virtual.configure",
            "virtual.pre_snapshot",
            "snapshot",
            "virtual.post_snapshot",
        ]
    );
    for at in [
        HookPoint::PreSnapshot,
        HookPoint::PostSnapshot,
        HookPoint::ConfigureClone,
        HookPoint::PreRefresh,
        HookPoint::PostRefresh,
        HookPoint::PreRollback,
        HookPoint::PostRollback,
        HookPoint::PreStart,
        HookPoint::PostStart,
        HookPoint::PreStop,
        HookPoint::PostStop,
    ] {
        site.hook("test", at);
    }
    let snapshot = ["virtual.pre_snapshot", "snapshot", "virtual.post_snapshot"];
    assert_eq!(
        happened(site.order("test", SourceOrder::Snapshot)),
        [&["hook pre-snapshot"], &snapshot[..], &["hook post-snapshot"]].concat()
    );
    let moved = |number: u64, clone: &str| {
        vec![
            "virtual.unconfigure".to_owned(),
            format!("unmount /vdb/test/{} /vdb", number - 1),
            format!("unmount /vdb/test/{}/part /vdb2", number - 1),
            clone.to_owned(),
            "virtual.mount_specification".to_owned(),
            format!("share vdb/test/{number} 1"),
            format!("mount /vdb/test/{number} /vdb"),
            format!("mount /vdb/test/{number}/part /vdb2"),
        ]
    };
    let refreshed = happened(site.order("test", SourceOrder::Refresh { to: None }));
    let clone = refreshed[4].clone();
    assert!(clone.starts_with("clone dsource/sales/1@"), "{clone}");
    let ends = ["virtual.configure", "hook configure-clone"].into_iter().chain(snapshot);
    let ends = ends.chain(["hook post-refresh", "share vdb/test/1 0"]).map(str::to_owned);
    let all: Vec<String> = ["hook pre-refresh".to_owned()].into_iter().chain(moved(2, &clone)).chain(ends).collect();
    assert_eq!(refreshed, all);
    let rewound = happened(site.order("test", SourceOrder::Rewind { to: None }));
    let clone = rewound[4].clone();
    assert!(clone.starts_with("clone vdb/test/2@"), "{clone}");
    let ends = ["virtual.reconfigure"].into_iter().chain(snapshot);
    let ends = ends.chain(["hook post-rollback", "share vdb/test/2 0"]).map(str::to_owned);
    let all: Vec<String> = ["hook pre-rollback".to_owned()].into_iter().chain(moved(3, &clone)).chain(ends).collect();
    assert_eq!(rewound, all);
    assert_eq!(happened(site.order("test", SourceOrder::Stop)), ["hook pre-stop", "virtual.stop", "hook post-stop"]);
    assert_eq!(
        happened(site.order("test", SourceOrder::Start)),
        ["hook pre-start", "virtual.mount_specification", "virtual.start", "hook post-start"]
    );
    assert_eq!(
        happened(site.order("test", SourceOrder::Disable)),
        ["virtual.unconfigure", "unmount /vdb/test/3 /vdb", "unmount /vdb/test/3/part /vdb2", "share vdb/test/3 0"]
    );
    assert_eq!(
        happened(site.order("test", SourceOrder::Enable)),
        [
            "virtual.status",
            "virtual.mount_specification",
            "share vdb/test/3 1",
            "mount /vdb/test/3 /vdb",
            "mount /vdb/test/3/part /vdb2",
            "virtual.reconfigure",
        ]
    );
    assert_eq!(
        happened(site.order("test", SourceOrder::Delete { force: false })),
        [
            "hook pre-stop",
            "virtual.unconfigure",
            "virtual.cleanup",
            "hook post-stop",
            "unmount /vdb/test/3 /vdb",
            "unmount /vdb/test/3/part /vdb2",
            "destroy vdb/test",
        ]
    );
    assert_eq!(
        happened(site.order("sales", SourceOrder::Delete { force: false })),
        ["linked.stop_staging", "unmount /dsource/sales/1 /staging", "destroy dsource/sales"]
    );
}

#[test]
fn what_cannot_be_is_refused_at_once_and_leaves_nothing() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let before = site.all();
    let jobs = site.virtualization.jobs.list().len();
    let request = |name: &str, from: &str, parameters: Value| Provision {
        name: name.to_owned(),
        from: Some(from.to_owned()),
        environment: "h2".to_owned(),
        parameters,
        ..Provision::default()
    };
    let paths = json!({"paths": []});
    let provision = |request: Provision| site.virtualization.provision(&request);
    let to = |to: &str| Some(to.to_owned());
    let vault = json!({"paths": [], "logins": [{"type": "CyberArkVaultCredential", "vault": "v", "queryString": "q"}]});
    let link = LinkSource { name: "b".to_owned(), parameters: vault.clone(), ..site.request() };
    let refused = site.virtualization.link(&link).unwrap_err();
    assert!(refused.detail.contains("logins.0 is a CyberArkVaultCredential, and vaults are not"), "{refused:?}");
    for (outcome, code) in [
        (Err(refused), Code::Unsupported),
        (provision(request("a", "sales", vault)), Code::Unsupported),
        (provision(request("a", "sales", json!({}))), Code::InvalidRequest),
        (provision(request("a/b", "sales", paths.clone())), Code::InvalidName),
        (provision(request("test", "sales", paths.clone())), Code::Exists),
        (provision(request("a", "nobody", paths.clone())), Code::NotFound),
        (provision(request("a", "sales@then", paths.clone())), Code::NotFound),
        (provision(Provision { from: None, ..request("a", "", paths.clone()) }), Code::InvalidRequest),
        (provision(Provision { repository: to("other"), ..request("a", "sales", paths) }), Code::InvalidRequest),
        (site.link(), Code::Exists),
        (site.order("nobody", SourceOrder::Start), Code::NotFound),
        (site.order("sales", SourceOrder::Start), Code::Conflict),
        (site.order("test", SourceOrder::Sync { snapshot_parameters: None }), Code::Conflict),
        (site.order("test", SourceOrder::Enable), Code::Conflict),
        (site.order("test", SourceOrder::Rewind { to: to("sales") }), Code::NotFound),
        (site.order("test", SourceOrder::Rewind { to: to("sales@then") }), Code::NotFound),
        (site.order("test", SourceOrder::Refresh { to: to("test@then") }), Code::NotFound),
    ] {
        let problem = outcome.unwrap_err();
        assert_eq!(problem.code, code, "{problem:?}");
    }
    assert_eq!(site.all(), before);
    assert_eq!(site.virtualization.jobs.list().len(), jobs);
}

#[test]
fn what_is_linked_was_found_at_its_origin_and_is_staged_by_a_repository_of_the_same_kind() {
    let site = Site::new(PluginType::Staged);
    let virtualization = &site.virtualization;
    let found = |on: u64, name: &str, identity: &str| Found {
        on,
        plugin: site.world.package.id.clone(),
        name: name.to_owned(),
        identity: identity.to_owned(),
        parameters: virtualization.seal(&json!({"name": name})).unwrap(),
        is_lost: false,
        is_manual: false,
    };
    let repository = |found: Found| virtualization.state.write(|edit| edit.insert(&Repository(found))).unwrap();
    let origin = repository(found(1, "fifteen", "15"));
    for (name, identity) in [("sixteen", "16"), ("fifteen at another place", "15")] {
        repository(found(2, name, identity));
    }
    for config in ["a", "b"] {
        let config = SourceConfig(found(origin, config, config));
        virtualization.state.write(|edit| edit.insert(&config)).unwrap();
    }
    let request = |config: Option<&str>| LinkSource {
        staging_environment: Some("h2".to_owned()),
        config: config.map(str::to_owned),
        config_parameters: None,
        ..site.request()
    };
    let problem = virtualization.link(&request(None)).unwrap_err();
    assert_eq!(problem.hint.as_deref(), Some("name one of: a, b; or give its parameters"));
    site.done(virtualization.link(&request(Some("b"))));
    let source = virtualization.state.read(|view| view.named::<Source>("sales")).unwrap().record;
    let repository = virtualization.state.read(|view| view.get::<Repository>(source.repository)).unwrap().record.0;
    assert_eq!((repository.on, repository.name.as_str()), (2, "fifteen at another place"));
    assert_eq!(virtualization.unseal(&source.config.unwrap()).unwrap(), json!({"name": "b"}));
}

#[test]
fn a_job_that_never_begins_gives_its_name_back() {
    let site = Site::new(PluginType::Staged);
    let (end, waits) = std::sync::mpsc::channel::<()>();
    let waits = Arc::new(Mutex::new(waits));
    let filler = |_| {
        let waits = waits.clone();
        let work = move |_: &crate::jobs::Ticket| {
            let _ = waits.lock().recv();
            Ok(v1::JobReport::Plain)
        };
        site.virtualization.jobs.start(v1::JobKind::Verify, "x", Box::new(work)).unwrap()
    };
    let fillers = [0, 1].map(filler);
    let queued = site.link().unwrap();
    assert_eq!((queued.progress.state, site.link().unwrap_err().code), (JobState::Queued, Code::Exists));
    site.virtualization.jobs.cancel(queued.id).unwrap();
    assert_eq!(site.all().1, Vec::<String>::new());
    for job in &fillers {
        end.send(()).unwrap();
        site.virtualization.jobs.wait(job.id, Duration::ZERO).unwrap();
    }
    site.done(site.link());
    site.virtualization.jobs.stop(LONG);
    let before = site.all();
    assert_eq!(site.provision(Some("sales")).unwrap_err().code, Code::Unavailable);
    assert_eq!(site.all(), before);
}

#[test]
fn what_is_still_to_be_undone_is_a_fault_and_keeps_others_away() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let before = site.all();
    // The host is gone in the middle.
    site.world.make(Trouble::Kill(5));
    let refresh = || site.order("test", SourceOrder::Refresh { to: None });
    let job = site.ended(refresh());
    assert!(job.problem.unwrap().detail.contains("it is not undone yet"));
    assert_eq!(site.virtualization.faults().unwrap().faults.len(), 1);
    assert_eq!(refresh().unwrap_err().code, Code::Busy);
    assert_ne!(site.all(), before);
    site.world.make(Trouble::None);
    site.virtualization.settle_debts().unwrap();
    assert_eq!((site.all(), site.virtualization.faults().unwrap().faults), (before, Vec::new()));
    site.done(refresh());
}
