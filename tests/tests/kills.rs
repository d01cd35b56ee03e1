//! cowd is killed at every call that it makes to a host or a plugin, in every workflow: before the call, while it runs, and
//! when it is done but cowd does not know it. Then it is started again.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};
use std::{env, fs};

use cow_tests::plugins::{fixtures, interpreter};
use cow_tests::site::{Programs, Site};
use cowd::plugins::Language;

const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};

/// Stands in for the program of its name, and kills cowd at the call whose number counts down in the file `at`.
const PROGRAM: &str = r##"#!/bin/bash
here=$(dirname "$0")
case "$(basename "$0") $* " in
    ssh*" ControlMaster=no "*) real=/usr/bin/ssh ;;
    ssh*) exec /usr/bin/ssh "$@" ;;
    *) real=PYTHON ;;
esac
exec 9>"$here/lock"
flock 9
read -r left when <"$here/at" || exec "$real" "$@" 9>&-
if [ "$left" -gt 0 ]; then
    echo "$((left - 1)) $when" >"$here/at"
    exec "$real" "$@" 9>&-
fi
rm "$here/at"
exec 9>&-
# ssh's greeting passes, without which nothing begins; the rest is not heard.
only_greeting() { head -c 33; cat >/dev/null; }
case "$when $*" in
    after*"rsync --server"*) "$real" "$@" <&0 & sleep 0.2 ;;
    after*ControlMaster*) "$real" "$@" > >(only_greeting) 2> >(only_greeting >&2) ;;
    after*) "$real" "$@" <&0 & sleep 0.2 ;;
    during*) "$real" "$@" <&0 & sleep 0.0$((RANDOM % 9)) ;;
esac
kill -KILL "$(cat "$here/cowd.pid")"
"##;

/// More calls than any workflow makes.
const CALLS_MAX: usize = 1_000_000;
/// Of the moments at which cowd can be killed, one in so many is tried each day, other ones every day. `COW_KILLS` says which:
/// a number below this, or `all`.
const STRIDE: u64 = 8;
/// Workflows that call nobody are killed so often, each time later.
const TIMES: usize = 10;
/// By so much.
const LATER: Duration = Duration::from_millis(4);

/// An order, and what brings its outcome back to where it began. Words in capitals are files, and `on HOST` goes before what
/// bash does there.
struct Workflow {
    order: &'static str,
    back: &'static [&'static str],
    told: Told,
}

/// How it is told what became of an order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is one job.
    ByJob,
    /// It is none, or begins some: what there is must be as before, or as after.
    ByState,
}

const fn job(order: &'static str, back: &'static [&'static str]) -> Workflow {
    Workflow { order, back, told: Told::ByJob }
}

const LINK: &str = "source link tree --plugin cow-directory --env source --config-file CONFIG";
const STAGE: &str = "source link staged --plugin cow-directory-staged --env target --param mountPath=/home/deploy/staged \
                     --config-file CONFIG";
const PROVISION: &str = "vdb provision copy staged --env target --param path=/home/deploy/copy";
const DELETE: &str = "vdb delete copy";
const HOOKS: [&str; 2] = [
    "hook add hooked before --at pre-sync --script-file HOOK",
    "hook add hooked after --at post-sync --script-file HOOK",
];
const LINK_HOOKED: &str = "source link hooked --plugin cow-directory --env source --config-file CONFIG";

const WORKFLOWS: [Workflow; 28] = [
    job(LINK, &["source unlink tree"]),
    job(STAGE, &["source unlink staged"]),
    job("source sync tree", &["source unlink tree", LINK]),
    job("source sync staged", &["source unlink staged", STAGE]),
    job("source resync tree", &["source unlink tree", LINK]),
    job("source resync staged", &["source unlink staged", STAGE]),
    job("source sync hooked", &["source unlink hooked", LINK_HOOKED, HOOKS[0], HOOKS[1]]),
    job("source disable staged", &["source enable staged"]),
    job("source enable staged", &["source disable staged"]),
    job(PROVISION, &[DELETE]),
    job("vdb provision second copy --env target --param path=/home/deploy/second", &["vdb delete second"]),
    job("vdb delete second", &["vdb provision second copy --env target --param path=/home/deploy/second"]),
    job(
        "vdb provision-empty empty --plugin cow-directory --env target --param path=/home/deploy/empty",
        &["vdb delete empty"],
    ),
    job("vdb snapshot copy", &[DELETE, PROVISION]),
    job("vdb refresh copy", &[DELETE, PROVISION]),
    job("vdb rewind copy", &[DELETE, PROVISION]),
    job("vdb stop copy", &["vdb start copy"]),
    job("vdb start copy", &["vdb stop copy"]),
    job("vdb disable copy", &["vdb enable copy"]),
    job("vdb enable copy", &["vdb disable copy"]),
    job("v2p tree /home/deploy/plain --env target", &["on target rm -rf /home/deploy/plain"]),
    job("v2p copy /home/deploy/bare --env target", &["on target rm -rf /home/deploy/bare"]),
    job("policy run thin", &["policy apply thin hooked", "source sync hooked"]),
    Workflow {
        order: "env refresh target",
        back: &[
            "on target rm -f /home/deploy/calls/found",
            "env refresh target",
            "on target echo >/home/deploy/calls/found",
        ],
        told: Told::ByState,
    },
    Workflow {
        order: "plugin upgrade NEW",
        back: &["plugin remove caller", "plugin install OLD"],
        told: Told::ByState,
    },
    job(DELETE, &[PROVISION]),
    job("source unlink staged", &[STAGE]),
    job("source unlink tree", &[LINK]),
];

/// What there is besides before the first of them.
const BEFORE: [&str; 6] = [
    "on target mkdir /home/deploy/calls",
    "plugin install OLD",
    LINK_HOOKED,
    HOOKS[0],
    HOOKS[1],
    "policy add thin retention --schedule @daily --keep-last 1",
];

/// What an upgrade has to do with what was found.
const MIGRATION: &str = r#"

@plugin.upgrade.repository('2026.1')
def migrate(old_repository):
    return dict(old_repository)
"#;

/// Writes a build of the plugin that calls.
fn write_plugin(folder: &Path, build: &str, more: &str) {
    let fixture = fixtures().join("caller");
    let read = |file: &str| fs::read_to_string(fixture.join(file)).unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    let config = read("plugin_config.yml").replace("\"1\"", &format!("\"{build}\""));
    fs::write(folder.join("plugin_config.yml"), config).unwrap();
    fs::write(folder.join("schema.json"), read("schema.json")).unwrap();
    fs::write(folder.join("src/caller.py"), read("src/caller.py") + more).unwrap();
}

/// A site whose cowd can be killed by a call.
struct Stage {
    site: Site,
    folder: PathBuf,
}

impl Stage {
    fn new() -> Option<Self> {
        let python = interpreter(Language::Python311)?.display().to_string();
        let mut site = Site::new("kills", PROGRAMS, &["source", "target"], &["directory", "directory-staged"])?;
        let folder = site.lab.folder().join("bin");
        fs::create_dir_all(&folder).unwrap();
        for name in ["ssh", "python"] {
            fs::write(folder.join(name), PROGRAM.replace("PYTHON", &python)).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = env::var("PATH").unwrap_or_default();
        site.setup.environment = vec![("PATH".to_owned(), format!("{}:{path}", folder.display()))];
        site.setup.config = site.setup.config.replace(&python, &folder.join("python").display().to_string());
        site.crash();
        site.restart();
        for number in [1, 2] {
            let text = "mkdir /home/deploy/tree; echo one > /home/deploy/tree/file; chown -R deploy /home/deploy/tree";
            site.lab.host(number).run(text).unwrap();
        }
        fs::write(folder.join("CONFIG"), r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
        fs::write(folder.join("HOOK"), r#"[ -d "$HOME" ]"#).unwrap();
        write_plugin(&folder.join("OLD"), "1", "");
        write_plugin(&folder.join("NEW"), "1.1", MIGRATION);
        let stage = Self { site, folder };
        BEFORE.iter().for_each(|order| stage.done(order));
        Some(stage)
    }

    /// An order with the paths of its files.
    fn order(&self, text: &str) -> String {
        let is_file = |word: &str| word.bytes().all(|letter| letter.is_ascii_uppercase());
        let path = |word: &str| self.folder.join(word).display().to_string();
        let words = text.split(' ').map(|word| if is_file(word) { path(word) } else { word.to_owned() });
        words.collect::<Vec<_>>().join(" ")
    }

    fn done(&self, text: &str) {
        match text.strip_prefix("on ").and_then(|text| text.split_once(' ')) {
            Some((environment, text)) => drop(self.site.as_deploy(environment, text)),
            None => {
                self.site.done(&self.order(text));
                // Also what it began, and did not wait for.
                self.site.newest_is_done();
            }
        }
    }

    /// Lets cowd be killed at the call of this number from now on.
    fn arm(&self, number: usize, when: &str) {
        fs::write(self.folder.join("cowd.pid"), self.site.daemon().id().to_string()).unwrap();
        fs::write(self.folder.join("at"), format!("{number} {when}\n")).unwrap();
    }

    /// Takes that back, and returns how many calls were left until then, if cowd was not killed.
    fn disarm(&self) -> Option<usize> {
        let text = fs::read_to_string(self.folder.join("at")).ok()?;
        let _ = fs::remove_file(self.folder.join("at"));
        text.split(' ').next()?.parse().ok()
    }

    /// Does a workflow, and returns how many calls it made.
    fn calls(&self, workflow: &Workflow) -> usize {
        self.arm(CALLS_MAX, "before");
        self.done(workflow.order);
        CALLS_MAX - self.disarm().unwrap()
    }

    /// Brings a workflow's outcome back.
    fn bring_back(&self, workflow: &Workflow) {
        workflow.back.iter().for_each(|order| self.done(order));
    }

    /// Lets cowd be killed at a moment, starts it again, and says whether the order was done in the end. `None` if the workflow
    /// had ended before that moment.
    fn killed(&mut self, workflow: &Workflow, number: usize, when: &str) -> Option<bool> {
        let last = self.site.newest_job();
        let killer = (when == "later").then(|| self.kill_later(LATER * u32::try_from(number).unwrap()));
        if killer.is_none() {
            self.arm(number, when);
        }
        // It may be killed before it has answered that it began.
        let _ = self.site.ended(&self.order(workflow.order));
        if self.disarm().is_some() {
            return None;
        }
        killer.map(|mut killer| killer.wait().unwrap());
        self.site.crash();
        self.site.restart();
        Some(self.site.newest_is_done() && self.site.newest_job() > last)
    }

    /// What kills cowd after some time.
    fn kill_later(&self, after: Duration) -> Child {
        let text = format!("sleep {}; kill -KILL {}", after.as_secs_f64(), self.site.daemon().id());
        Command::new("bash").args(["-c", &text]).spawn().unwrap()
    }

    /// All that must be as before, or as after: on the hosts, in the pool, and what is remembered.
    fn seen(&self) -> String {
        let on_host = "grep -h ' /home/' /proc/mounts; cd /home/deploy; ls -A /tmp cow-toolkit/*/scratch; \
                       find . -path ./cow-toolkit -prune -o -printf '%p %u %m %y %s\n' | sort; cat */file; true";
        let mut seen: Vec<String> = [1, 2].map(|number| self.site.lab.host(number).run(on_host).unwrap()).into();
        let lines = ["list -H -t all -o name,origin", "share list -H", "source list -H", "vdb list -H", "fault"];
        let others = ["plugin list -H", "source discovered source -H", "source discovered target -H"];
        for line in lines.into_iter().chain(others) {
            // In the order of their making, which says nothing here.
            let told = self.site.done(line);
            let mut lines: Vec<&str> = told.lines().collect();
            lines.sort_unstable();
            seen.push(lines.join("\n"));
        }
        for name in ["tree", "staged", "hooked", "copy", "second", "empty"] {
            seen.push(self.site.ended(&format!("timeline {name}")).unwrap_or_default());
        }
        let copies = fs::read_dir(self.site.setup.folder.join("cow-copies")).map_or(0, Iterator::count);
        seen.push(format!("{copies} copies of trees on this host"));
        seen.join("\n")
    }
}

/// The same without what differs from one time to the next: numbers, times, and what a second snapshot of the same second is
/// called; so lines are in another order.
fn untimed(seen: &str) -> String {
    let mut text = String::new();
    for letter in seen.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }) {
        if letter != '0' || !text.ends_with('0') {
            text.push(letter);
        }
    }
    let text = text.replace("0.0Z", "0Z");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The moments to try, of the numbers from 1 on: all, or those of a day.
fn wanted() -> impl Fn(u64) -> bool {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let which = env::var("COW_KILLS").unwrap_or_else(|_| (days % STRIDE).to_string());
    println!("Moments of COW_KILLS={which}, of all or 0 to {}", STRIDE - 1);
    let of_day: Option<u64> = (which != "all").then(|| which.parse().expect("COW_KILLS is a number, or 'all'"));
    move |moment| of_day.is_none_or(|day| moment % STRIDE == day)
}

/// How many orders were done, and how many undone, over which cowd was killed.
#[derive(Default)]
struct Tally {
    done: usize,
    undone: usize,
}

impl Stage {
    /// Tries a moment, and brings back what was as it began.
    fn tries(&mut self, workflow: &Workflow, (number, when): (usize, &str), after: &str, tally: &mut Tally) {
        let before = self.seen();
        let is_done = self.killed(workflow, number, when);
        let seen = self.seen();
        let said = || format!("{} killed {when} call {number}\n{}", workflow.order, self.site.daemon().log());
        let is_undone = match workflow.told {
            Told::ByJob => is_done == Some(false),
            Told::ByState => seen == before,
        };
        if is_undone {
            // Files that v2p had copied already are left, as docs/virtual-data.md says.
            if workflow.order.starts_with("v2p ") {
                self.bring_back(workflow);
            }
            assert_eq!(self.seen(), before, "{}", said());
            tally.undone += 1;
        } else {
            assert_eq!(untimed(&seen), after, "{}", said());
            tally.done += usize::from(is_done.is_some());
        }
        if workflow.told == Told::ByState {
            // What is begun again makes it whole, also where all seems to be.
            self.done(workflow.order);
            assert_eq!(untimed(&self.seen()), after, "{}", said());
        }
        if !is_undone || workflow.told == Told::ByState {
            self.bring_back(workflow);
        }
    }
}

#[test]
fn at_whichever_call_cowd_is_killed_all_is_as_before_or_as_after_and_the_job_says_which() {
    let Some(mut stage) = Stage::new() else { return };
    let (is_wanted, mut tally, mut moment) = (wanted(), Tally::default(), 0);
    for workflow in &WORKFLOWS {
        // What ends as it began needs what it takes.
        if workflow.back.len() > 1 {
            stage.bring_back(workflow);
        }
        let before = stage.seen();
        let calls = stage.calls(workflow);
        let after = untimed(&stage.seen());
        assert_ne!(untimed(&before), after, "{}", workflow.order);
        stage.bring_back(workflow);
        let at_calls = (0..calls).flat_map(|number| ["before", "during", "after"].map(|when| (number, when)));
        let at_times = (0..TIMES).filter(|_| calls == 0).map(|number| (number, "later"));
        for at in at_calls.chain(at_times) {
            moment += 1;
            if is_wanted(moment) {
                stage.tries(workflow, at, &after, &mut tally);
            }
        }
        let Tally { done, undone } = tally;
        println!("{}: {calls} calls; of {moment} moments until now {done} were done, {undone} undone", workflow.order);
        // What begins anew each time is left as it began.
        if workflow.back.len() == 1 {
            stage.done(workflow.order);
        }
    }
    assert!(tally.done > 0 && tally.undone > 0, "{} were done, {} undone", tally.done, tally.undone);
}
