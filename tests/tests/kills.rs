//! cowd is killed at every call that it makes to a host or a plugin, in every workflow: before the call, while it runs, and
//! when it is done but cowd does not know it. Then it is started again.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{env, fs};

use cow_tests::plugins::interpreter;
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
/// Of the moments at which cowd can be killed, one in so many is tried unless `COW_KILLS=all` says otherwise.
const STRIDE: usize = 8;

/// An order, and what brings its outcome back to where it began. `CONFIG` is a source config by hand.
struct Workflow {
    order: &'static str,
    back: &'static [&'static str],
}

const LINK: &str = "source link tree --plugin cow-directory --env source --config-file CONFIG";
const STAGE: &str = "source link staged --plugin cow-directory-staged --env target --param mountPath=/home/deploy/staged \
                     --config-file CONFIG";
const PROVISION: &str = "vdb provision copy staged --env target --param path=/home/deploy/copy";
const DELETE: &str = "vdb delete copy";
const FORGET_FILES: &str = "rm -rf /home/deploy/plain";

const WORKFLOWS: [Workflow; 18] = [
    Workflow { order: LINK, back: &["source unlink tree"] },
    Workflow { order: STAGE, back: &["source unlink staged"] },
    Workflow { order: "source sync tree", back: &["source unlink tree", LINK] },
    Workflow { order: "source sync staged", back: &["source unlink staged", STAGE] },
    Workflow { order: "source disable staged", back: &["source enable staged"] },
    Workflow { order: "source enable staged", back: &["source disable staged"] },
    Workflow { order: PROVISION, back: &[DELETE] },
    Workflow { order: "vdb snapshot copy", back: &[DELETE, PROVISION] },
    Workflow { order: "vdb refresh copy", back: &[DELETE, PROVISION] },
    Workflow { order: "vdb rewind copy", back: &[DELETE, PROVISION] },
    Workflow { order: "vdb stop copy", back: &["vdb start copy"] },
    Workflow { order: "vdb start copy", back: &["vdb stop copy"] },
    Workflow { order: "vdb disable copy", back: &["vdb enable copy"] },
    Workflow { order: "vdb enable copy", back: &["vdb disable copy"] },
    Workflow { order: "v2p tree /home/deploy/plain --env target", back: &[FORGET_FILES] },
    Workflow { order: DELETE, back: &[PROVISION] },
    Workflow { order: "source unlink staged", back: &[STAGE] },
    Workflow { order: "source unlink tree", back: &[LINK] },
];

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
        let stage = Self { site, folder };
        fs::write(stage.config(), r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
        Some(stage)
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    fn order(&self, text: &str) -> String {
        text.replace("CONFIG", &self.config().display().to_string())
    }

    fn done(&self, text: &str) {
        if text.starts_with("rm ") {
            self.site.lab.host(2).run(text).unwrap();
        } else {
            self.site.done(&self.order(text));
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

    /// Lets cowd be killed at a call, starts it again, and says whether the order was done in the end. `None` if the workflow
    /// had ended before that call.
    fn killed(&mut self, workflow: &Workflow, number: usize, when: &str) -> Option<bool> {
        self.arm(number, when);
        // It may be killed before it has answered that it began.
        let _ = self.site.ended(&self.order(workflow.order));
        if self.disarm().is_some() {
            return None;
        }
        self.site.crash();
        self.site.restart();
        Some(self.site.newest_is_done())
    }

    /// All that must be as before, or as after: on the hosts, in the pool, and what is remembered.
    fn seen(&self) -> String {
        let on_host = "grep -h ' /home/' /proc/mounts; cd /home/deploy; ls -A /tmp cow-toolkit/*/scratch; \
                       find . -path ./cow-toolkit -prune -o -printf '%p %u %m %y %s\n' | sort; cat */file; true";
        let mut seen: Vec<String> = [1, 2].map(|number| self.site.lab.host(number).run(on_host).unwrap()).into();
        for line in ["list -H -t all -o name,origin", "share list -H", "source list -H", "vdb list -H", "fault"] {
            // In the order of their making, which says nothing here.
            let told = self.site.done(line);
            let mut lines: Vec<&str> = told.lines().collect();
            lines.sort_unstable();
            seen.push(lines.join("\n"));
        }
        for name in ["tree", "staged", "copy"] {
            seen.push(self.site.ended(&format!("timeline {name}")).unwrap_or_default());
        }
        let copies = fs::read_dir(self.site.setup.folder.join("cow-copies")).map_or(0, Iterator::count);
        seen.push(format!("{copies} copies of trees on this host"));
        seen.join("\n")
    }
}

/// What differs from one time to the next.
fn untimed(seen: &str) -> String {
    let mut text = String::new();
    for letter in seen.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }) {
        if letter != '0' || !text.ends_with('0') {
            text.push(letter);
        }
    }
    text
}

#[test]
fn at_whichever_call_cowd_is_killed_all_is_as_before_or_as_after_and_the_job_says_which() {
    let Some(mut stage) = Stage::new() else { return };
    let stride = if env::var("COW_KILLS").is_ok_and(|which| which == "all") { 1 } else { STRIDE };
    let (mut done, mut undone, mut moment) = (0, 0, 0);
    for workflow in &WORKFLOWS {
        let before = untimed(&stage.seen());
        let calls = stage.calls(workflow);
        let after = untimed(&stage.seen());
        assert_ne!(before, after, "{}", workflow.order);
        stage.bring_back(workflow);
        for (number, when) in (0..calls).flat_map(|number| ["before", "during", "after"].map(|when| (number, when))) {
            moment += 1;
            if moment % stride != 0 {
                continue;
            }
            let before = stage.seen();
            let said = format!("{} killed {when} call {number} of {calls}", workflow.order);
            match stage.killed(workflow, number, when) {
                Some(false) => {
                    // Files that v2p had copied already are left, as docs/virtual-data.md says.
                    if workflow.back == [FORGET_FILES] {
                        stage.bring_back(workflow);
                    }
                    assert_eq!(stage.seen(), before, "{said}\n{}", stage.site.daemon().log());
                    undone += 1;
                }
                is_done => {
                    assert_eq!(untimed(&stage.seen()), after, "{said}\n{}", stage.site.daemon().log());
                    stage.bring_back(workflow);
                    done += usize::from(is_done.is_some());
                }
            }
        }
        println!("{}: {calls} calls; until now {done} were done, {undone} undone", workflow.order);
        // What begins anew each time is left as it began.
        if workflow.back.len() == 1 {
            stage.done(workflow.order);
        }
    }
    assert!(done > 0 && undone > 0, "{done} were done, {undone} undone");
}
