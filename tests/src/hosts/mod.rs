//! Hosts to work on: namespaces of this machine, each with its own network, processes, sshd, `/tmp`, `/run`, `/root` and `/home`.
//!
//! A lab is a network with a bridge, where the daemon under test is; hosts h1, h2, .. hang on it. They share this machine's
//! kernel and programs. Users are root and `deploy`, which may do by sudo what `docs/environments.md` asks for; both come in
//! by the key [`Lab::key`] or the password [`PASSWORD`].
//!
//! Invariant: nothing of this machine's own is changed, and all of it goes with the test: each host's first process ends when
//! its input does, and takes the host's other processes and mounts with it.

mod host;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::daemon::Setup;
pub use crate::hosts::host::Host;
use crate::scratch::{Scratch, is_root};

/// The password of all users of all hosts.
pub const PASSWORD: &str = "correct horse";
/// Where the daemon under test is, for hosts.
pub const SERVER: &str = "198.51.100.1";
/// What this needs of the machine.
const NEEDED: [&str; 8] = ["sshd", "ssh", "ssh-keygen", "sudo", "rsync", "jq", "ip", "unshare"];

/// A network with hosts.
pub struct Lab {
    hosts: Vec<Host>,
    bridge: Tied,
    scratch: Scratch,
}

/// A process that ends when this does.
struct Tied {
    child: Child,
}

impl Tied {
    /// Starts a program whose input is a pipe, and that is its group's first.
    fn start(command: &mut Command) -> Self {
        Self { child: command.stdin(Stdio::piped()).spawn().expect("it starts") }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lab {
    /// A network with `count` hosts that answer. `None`, with a word, where that cannot be had.
    pub fn new(name: &str, count: usize) -> Option<Self> {
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let is_there = |program: &&str| places.iter().any(|place| Path::new(place).join(program).exists());
        let missing: Vec<&str> = NEEDED.into_iter().filter(|program| !is_there(program)).collect();
        if !is_root() || !missing.is_empty() {
            eprintln!("skipped: this needs root, and {}", missing.join(", "));
            return None;
        }
        let scratch = Scratch::new(name);
        let folder = scratch.path();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(folder.join("key")));
        let script = "ip link set lo up && ip link add br0 type bridge stp_state 0 forward_delay 0 && \
                      ip addr add 198.51.100.1/24 dev br0 && ip link set br0 up && \
                      { ip -6 addr add fd00:c0::1/64 dev br0 nodad || true; } && echo up && read -r end";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bridge = Tied::start(&mut command);
        if !host::says_up(&mut bridge.child) {
            eprintln!("skipped: no namespaces can be made here");
            return None;
        }
        let mut lab = Self { hosts: Vec::new(), bridge, scratch };
        for number in 1..=count {
            let host = Host::start(number, lab.scratch.path(), lab.network());
            lab.hosts.push(host);
        }
        Some(lab)
    }

    /// The process whose network is the lab's.
    pub fn network(&self) -> u32 {
        self.bridge.child.id()
    }

    /// A host: h1 is the first.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    /// A folder that goes with the lab.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The file with the private key of all users.
    pub fn key(&self) -> PathBuf {
        self.folder().join("key")
    }

    /// Brings this thread into the lab's network; what it starts later is there too.
    pub fn enter(&self) {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.network())).expect("the lab has a network");
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("it can be entered");
    }

    /// A daemon in the lab's network, whose NFS listens at [`SERVER`]; its files go to `folder`.
    pub fn setup(&self, program: &str, folder: &Path) -> Setup {
        fs::create_dir_all(folder).expect("a folder can be made");
        let wrapper = folder.join("cowd");
        let text = format!("#!/bin/sh\nexec nsenter -t {} -n -- {program} \"$@\"\n", self.network());
        fs::write(&wrapper, text).expect("a program can be written");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("it can be made one");
        let mut setup = Setup::new(wrapper.to_str().expect("the path is UTF-8"), folder);
        setup.flags = vec!["--nfs".to_owned(), format!("{SERVER}:0")];
        setup
    }

    /// Takes a host's network away, as a cable that is pulled does.
    pub fn cut(&self, number: usize) {
        self.link(number, "down");
    }

    /// Gives it back.
    pub fn heal(&self, number: usize) {
        self.link(number, "up");
    }

    fn link(&self, number: usize, state: &str) {
        let network = self.network().to_string();
        let link = format!("vh{number}");
        run(Command::new("nsenter").args(["-t", &network, "-n", "--", "ip", "link", "set", &link, state]));
    }
}

/// Runs a program that must succeed.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
