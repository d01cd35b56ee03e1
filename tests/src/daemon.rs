//! The real daemon in a process of its own, on free ports, with a pool that goes with the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use cow_api::v1::{Job, Problem, path};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::nfs_copy::Url;

/// Longest that a daemon may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to start a daemon.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program: `env!("CARGO_BIN_EXE_cowd-under-test")`.
    pub program: PathBuf,
    /// Where the pool, the socket, the configuration and the log go.
    pub folder: PathBuf,
    /// The configuration file's text, besides the flags that are always given.
    pub config: String,
    /// Further flags.
    pub flags: Vec<String>,
    /// Further variables of the environment.
    pub environment: Vec<(String, String)>,
}

impl Setup {
    /// A daemon in `folder`, with small segments and everything else as by default.
    pub fn new(program: &str, folder: &Path) -> Self {
        let config = "[pool]\nsegment_size = \"8M\"\nintent_size = \"8M\"\n".to_owned();
        let (program, folder) = (program.into(), folder.to_owned());
        Self { program, folder, config, flags: Vec::new(), environment: Vec::new() }
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let config = self.folder.join("cowd.toml");
        fs::write(&config, &self.config).expect("the configuration can be written");
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(config).arg("--pool").arg(self.folder.join("pool"));
        command.args(["--nfs", "127.0.0.1:0", "--control"]).arg(self.socket()).args(&self.flags);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env_remove("JOURNAL_STREAM");
        command
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    /// Starts it, and waits until it serves.
    pub fn start(&self) -> Daemon {
        let log = self.folder.join("cowd.log");
        let errors = fs::File::options().create(true).append(true).open(&log).expect("the log can be written");
        let began = Instant::now();
        let mut command = self.command();
        command.env("COW_TEST_TIED", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("the daemon starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut daemon = Daemon { child, setup: self.clone(), nfs: None, http: None, took: Duration::ZERO };
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("cowd: ").and_then(|line| line.split_once(' ').or(Some((line, "")))) {
                Some(("nfs", address)) => daemon.nfs = address.parse().ok(),
                Some(("http", address)) => daemon.http = address.parse().ok(),
                Some(("ready", _)) => {
                    daemon.took = began.elapsed();
                    return daemon;
                }
                _ => {}
            }
        }
        panic!("the daemon did not come to serve:\n{}", daemon.log());
    }

    /// Runs it to its end, which must not be long, and returns how that was and what it said on stdout and stderr.
    pub fn run(&self, command: &mut Command) -> (Option<i32>, String, String) {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().expect("the daemon starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

/// A daemon that serves. Dropping it kills it.
pub struct Daemon {
    child: Child,
    setup: Setup,
    nfs: Option<SocketAddr>,
    http: Option<SocketAddr>,
    /// How long it took until it served.
    pub took: Duration,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers and the first line, in small letters.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as a problem.
    pub fn problem(&self) -> Problem {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        serde_json::from_value(self.json()).unwrap_or_else(|error| panic!("no problem ({error}): {self:?}"))
    }
}

impl Daemon {
    /// Where NFS listens.
    pub fn nfs(&self) -> SocketAddr {
        self.nfs.expect("the daemon said where NFS is")
    }

    /// Where the API listens for TCP.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("the daemon said where HTTP is")
    }

    /// Where clients find a dataset.
    pub fn url(&self, dataset: &str) -> Url {
        Url { server: self.nfs(), path: format!("/{dataset}") }
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.setup.socket()
    }

    /// Asks the API over its socket.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(self.socket()).expect("the control socket is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        exchange(stream, method, path, "", body)
    }

    /// Asks the API over TCP, with further headers.
    pub fn ask_over_tcp(&self, method: &str, path: &str, headers: &str) -> Answer {
        let stream = TcpStream::connect(self.http()).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        exchange(stream, method, path, headers, "")
    }

    /// Asks for something that must be done.
    pub fn done(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.ask(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path} {body}: {}", answer.text());
        answer.json()
    }

    /// Begins a job and waits for its end.
    pub fn job(&self, path: &str, body: &str) -> Job {
        let began: Job = serde_json::from_value(self.done("POST", path, body)).expect("a job was begun");
        self.end_of(began.id)
    }

    /// Waits for the end of a job.
    pub fn end_of(&self, id: u64) -> Job {
        let until = Instant::now() + PATIENCE;
        loop {
            let job = self.done("GET", &format!("{}?wait=5", path::job(id)), "");
            let job: Job = serde_json::from_value(job).expect("the job is there");
            if job.progress.state.has_ended() {
                return job;
            }
            assert!(Instant::now() < until, "the job does not end: {job:?}");
        }
    }

    /// Sends bytes over the control socket, and returns what comes back until the daemon closes the connection.
    pub fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.socket()).expect("the control socket is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        received
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.folder.join("cowd.log")).unwrap_or_default()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id() as i32).expect("it has an id");
        kill_process(id, signal).expect("it can be sent a signal");
    }

    /// Asks it to end by SIGTERM, and returns how it did and how long that took.
    pub fn stop(self) -> (ExitStatus, Duration) {
        self.stop_by(Signal::TERM)
    }

    /// Asks it to end by a signal, and returns how it did and how long that took.
    pub fn stop_by(mut self, signal: Signal) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal(signal);
        (self.wait(), began.elapsed())
    }

    /// Ends it as a crash does.
    pub fn crash(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < until, "the daemon does not end:\n{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let sent = format!(
        "{method} {path} HTTP/1.1\r\nHost: cowd\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(sent.as_bytes()).expect("the request can be sent");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("the answer comes");
    answer(&received).unwrap_or_else(|error| panic!("{method} {path}: {error}: {}", String::from_utf8_lossy(&received)))
}

/// Takes an answer apart.
pub fn answer(received: &[u8]) -> io::Result<Answer> {
    let wrong = || io::Error::other("this is no answer");
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(wrong)?;
    let head = std::str::from_utf8(&received[..end]).map_err(io::Error::other)?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).ok_or_else(wrong)?;
    Ok(Answer { status, head, body: received[end + 4..].to_vec() })
}
