//! PostgreSQL 15's own programs, as the source of real data and the judge of what came back.
//!
//! They refuse to run as root, so root hands them to the user `postgres`, or to `nobody`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scratch::is_root;

/// Where Debian puts the programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Servers listen on a socket in their own folder only, so all may have the same port.
const PORT: &str = "5491";
const CONFIGURATION: &str = "
listen_addresses = ''
port = 5491
shared_buffers = 16MB
max_connections = 10
max_wal_size = 64MB
min_wal_size = 32MB
";

/// Whether PostgreSQL 15 is installed; a test that says no here says so to its reader.
pub fn installed() -> bool {
    Path::new(PROGRAMS).join("postgres").exists()
}

/// A database cluster in a folder. A server that is left running is stopped with it.
#[derive(Debug)]
pub struct Cluster {
    data: PathBuf,
    socket: PathBuf,
    running: bool,
}

impl Cluster {
    /// Makes a cluster with page checksums in `folder`/data.
    pub fn create(folder: &Path) -> Self {
        let cluster = Self::open(folder, folder.join("data"));
        fs::create_dir(&cluster.data).expect("the cluster's folder can be made");
        give_away(&cluster.data);
        cluster.program("initdb", ["-D".as_ref(), cluster.data.as_os_str(), "-k".as_ref(), "-N".as_ref()]);
        let mut file = fs::OpenOptions::new().append(true).open(cluster.data.join("postgresql.conf")).unwrap();
        file.write_all(CONFIGURATION.as_bytes()).unwrap();
        cluster
    }

    /// The cluster that lies in `data`; its socket and log go to `folder`.
    pub fn open(folder: &Path, data: PathBuf) -> Self {
        let socket = folder.join("socket");
        fs::create_dir_all(&socket).expect("the socket's folder can be made");
        give_away(&socket);
        Self { data, socket, running: false }
    }

    /// Where its files are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Starts a server and waits until it answers.
    pub fn start(&mut self) {
        let options = format!("-k {}", self.socket.display());
        let log = self.socket.join("log");
        self.control(&["-w", "-t", "120", "-o", &options, "-l", log.to_str().unwrap(), "start"]);
        self.running = true;
    }

    /// Stops the server: `fast` with a checkpoint, `immediate` as a crash does.
    pub fn stop(&mut self, mode: &str) {
        self.running = false;
        self.control(&["-w", "-m", mode, "stop"]);
    }

    /// What a statement answers.
    pub fn sql(&self, statement: &str) -> String {
        self.client("psql", &["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"])
    }

    /// Runs pgbench on the running server.
    pub fn pgbench(&self, arguments: &[&str]) -> String {
        self.client("pgbench", &[arguments, &["postgres"]].concat())
    }

    /// Checks every relation and index of the running server, with heap and index compared.
    pub fn check_relations(&self) {
        self.sql("CREATE EXTENSION IF NOT EXISTS amcheck");
        self.client("pg_amcheck", &["--heapallindexed", "--parent-check", "postgres"]);
    }

    /// Checks the checksum of every page of the stopped cluster.
    pub fn check_pages(&self) {
        self.program("pg_checksums", ["--check".as_ref(), "-D".as_ref(), self.data.as_os_str()]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = ["-D".as_ref(), self.data.as_os_str()];
        self.program("pg_ctl", data.into_iter().chain(arguments.iter().map(AsRef::as_ref)));
    }

    fn client(&self, program: &str, arguments: &[&str]) -> String {
        let at = ["-h", self.socket.to_str().unwrap(), "-p", PORT];
        self.program(program, at.iter().chain(arguments).map(AsRef::as_ref))
    }

    fn program<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> String {
        let mut command = Command::new(Path::new(PROGRAMS).join(program));
        command.args(arguments).current_dir("/").env("PGUSER", "owner").env("USER", "owner");
        if program == "initdb" {
            command.args(["-U", "owner", "-A", "trust"]);
        }
        if is_root() {
            let (user, group) = unprivileged();
            command.uid(user).gid(group);
        }
        // The server inherits what it can, so its output must not be a pipe that somebody waits for.
        let output = match program {
            "pg_ctl" => command.stdout(Stdio::null()).stderr(Stdio::null()).output(),
            _ => command.output(),
        };
        let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        let log = || fs::read_to_string(self.socket.join("log")).unwrap_or_default();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} failed: {told}{}{}",
            String::from_utf8_lossy(&output.stdout),
            log()
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.running {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.stop("immediate")));
        }
    }
}

/// Gives a folder to the user that PostgreSQL's programs run as.
fn give_away(path: &Path) {
    if is_root() {
        let (user, group) = unprivileged();
        chown(path, Some(user), Some(group)).expect("root may give a folder away");
    }
}

/// User and group of `postgres`, or of `nobody` where there is none.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find(|line| line.starts_with("postgres:")).and_then(|line| {
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    found.unwrap_or((65534, 65534))
}
