//! One kind of load for any server of NFS version 3, and what it came to as a line of JSON.
//!
//! `nfs-load ROW NAME=VALUE..`. What is named: `server` (address and port of NFS), `mount` (the port of MOUNT; left out,
//! the server's portmapper is asked for both), `export`, `depth` (calls in flight), `mib` (the file's size), `calls`,
//! `seconds`, and `process`, whose processor time is read around what is timed. Rows:
//!
//! - `write`, `read`: a file from its begin to its end, by calls of 1 MiB or what the server takes; writing ends in COMMIT.
//! - `random-read`, `random-write`: 8 KiB at random places of a file for so many seconds; writing ends in COMMIT.
//! - `write-commit`: 8 KiB at a random place and COMMIT, one at a time.
//! - `create`, `getattr`, `unlink`: so many files in one directory; getattr goes round them for so many seconds.
//!
//! All that is written is random bytes, and no two blocks of it are equal.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cow_benches::flow::{Flow, Sent};
use cow_tests::nfs_client::{Call, Client, Failure, Handle, MOUNT, NFS, Outcome, PORTMAP, Reader, Set, Writer};
use cow_tests::random::Random;

/// Bytes of a call at a random place.
const PAGE_LEN: usize = 8 << 10;
/// Random bytes that calls take their data from.
const DATA_LEN: usize = 32 << 20;
/// Most bytes in a call.
const TRANSFER_MAX: usize = 1 << 20;
/// Processor time is told in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was asked for.
struct Load {
    server: SocketAddr,
    depth: usize,
    file_len: u64,
    calls: u64,
    time: Duration,
    process: Option<u32>,
    root: Handle,
}

/// What a row came to.
struct Came {
    calls: u64,
    bytes: u64,
    /// How long each call took, where that is asked for.
    times: Vec<Duration>,
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let cause = std::error::Error::source(&failure).map_or(String::new(), |cause| format!(": {cause}"));
            eprintln!("nfs-load: {failure}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<String> {
    let mut words = std::env::args().skip(1);
    let row = words.next().unwrap_or_default();
    let named: HashMap<String, String> = words
        .filter_map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let load = Load::new(&named)?;
    match row.as_str() {
        "write" => load.write(),
        "read" => load.read(),
        "random-read" => load.random_read(),
        "random-write" => load.random_write(),
        "write-commit" => load.write_commit(),
        "create" => load.create(),
        "getattr" => load.get_attributes(),
        "unlink" => load.unlink(),
        _ => Err(Failure::Io(std::io::Error::other("there is no such row"))),
    }
}

fn number(named: &HashMap<String, String>, name: &str, otherwise: u64) -> u64 {
    named.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The port of a program, by the host's portmapper.
fn port_of(host: IpAddr, program: u32) -> Outcome<u16> {
    let arguments = Writer::default().words(&[program, 3, 6, 0]).0;
    let answer = Client::connect((host, 111).into())?.call(&Call { program: PORTMAP, procedure: 3, arguments })?;
    u16::try_from(Reader(&answer).word()?).map_err(|_| Failure::Garbage)
}

impl Load {
    fn new(named: &HashMap<String, String>) -> Outcome<Self> {
        let text = |name: &str, otherwise: &str| named.get(name).cloned().unwrap_or_else(|| otherwise.to_owned());
        let wrong = |_| std::io::Error::other("`server` is no address with a port");
        let mut server: SocketAddr = text("server", "127.0.0.1:0").parse().map_err(wrong)?;
        if server.port() == 0 {
            server.set_port(port_of(server.ip(), NFS)?);
        }
        let mount_port = match number(named, "mount", 0) as u16 {
            0 => port_of(server.ip(), MOUNT)?,
            port => port,
        };
        let root = Client::connect((server.ip(), mount_port).into())?.mount(&text("export", "/"))?;
        Ok(Self {
            server,
            depth: number(named, "depth", 1).max(1) as usize,
            file_len: number(named, "mib", 64).max(1) << 20,
            calls: number(named, "calls", 1000),
            time: Duration::from_secs(number(named, "seconds", 1)),
            process: named.get("process").and_then(|text| text.parse().ok()),
            root,
        })
    }

    fn client(&self) -> Outcome<Client> {
        Client::connect(self.server)
    }

    /// The file that is read and written, made anew or as it is.
    fn file(&self, is_new: bool) -> Outcome<Handle> {
        let mut client = self.client()?;
        if is_new {
            let _ = client.remove(&self.root, b"file");
            return client.create(&self.root, b"file", true, &Set { mode: Some(0o644), ..Set::default() });
        }
        Ok(client.lookup(&self.root, b"file")?.0)
    }

    /// The most that the server takes in one READ and one WRITE, 1 MiB at most.
    fn transfers(&self) -> Outcome<(u64, u64)> {
        let answer = self.client()?.call(&Call::facts(19, &self.root))?;
        let mut reader = Reader(&answer);
        reader.status()?;
        reader.after()?;
        let (read, ..) = (reader.word()?, reader.word()?, reader.word()?);
        let (read, write) = (u64::from(read), u64::from(reader.word()?));
        Ok((read.min(TRANSFER_MAX as u64), write.min(TRANSFER_MAX as u64)))
    }

    /// Times what a row does, and says what it came to.
    fn timed(&self, row: impl FnOnce(&mut Flow) -> Outcome<Came>) -> Outcome<String> {
        let mut flow = Flow::new(self.client()?)?;
        let (began, cpu_before) = (Instant::now(), self.cpu_seconds());
        let came = row(&mut flow)?;
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), self.cpu_seconds() - cpu_before);
        let mut times = if came.times.is_empty() { flow.times } else { came.times };
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64();
        let Came { calls, bytes, .. } = came;
        let (p50, p99) = (at(0.5), at(0.99));
        Ok(format!(
            r#"{{"seconds":{seconds},"cpu_seconds":{cpu},"calls":{calls},"bytes":{bytes},"p50_seconds":{p50},"p99_seconds":{p99}}}"#
        ))
    }

    /// Processor time that the server took so far.
    fn cpu_seconds(&self) -> f64 {
        let stat = self.process.and_then(|process| std::fs::read_to_string(format!("/proc/{process}/stat")).ok());
        let fields = stat.as_deref().and_then(|stat| stat.rsplit_once(')')).map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    fn write(&self) -> Outcome<String> {
        let (file, data, length) = (self.file(true)?, Data::new(), self.transfers()?.1);
        let mut pieces = pieces(self.file_len, length);
        self.timed(|flow| {
            let next = |number| {
                let (offset, length) = pieces.next()?;
                Some(Sent::write(&file, offset, data.of_call(number, length as usize)))
            };
            let calls = flow.run(self.depth, next, |reader| whole_write(reader, length))?;
            commit(flow, &file)?;
            Ok(Came { calls, bytes: self.file_len, times: Vec::new() })
        })
    }

    fn read(&self) -> Outcome<String> {
        let file = self.file(false)?;
        let length = self.transfers()?.0;
        let mut pieces = pieces(self.file_len, length);
        self.timed(|flow| {
            let next = |_| pieces.next().map(|(offset, length)| Sent::plain(Call::read(&file, offset, length as u32)));
            let calls = flow.run(self.depth, next, |reader| whole_read(reader, length))?;
            Ok(Came { calls, bytes: self.file_len, times: Vec::new() })
        })
    }

    fn random_read(&self) -> Outcome<String> {
        let (file, mut places) = (self.file(false)?, self.places());
        self.timed(|flow| {
            let until = Instant::now() + self.time;
            let next = |_| {
                let call = Call::read(&file, places(), PAGE_LEN as u32);
                (Instant::now() < until).then(|| Sent::plain(call))
            };
            let calls = flow.run(self.depth, next, |reader| whole_read(reader, PAGE_LEN as u64))?;
            Ok(Came { calls, bytes: calls * PAGE_LEN as u64, times: Vec::new() })
        })
    }

    fn random_write(&self) -> Outcome<String> {
        let (file, mut places, data) = (self.file(false)?, self.places(), Data::new());
        self.timed(|flow| {
            let until = Instant::now() + self.time;
            let next = |number| {
                let sent = Sent::write(&file, places(), data.of_call(number, PAGE_LEN));
                (Instant::now() < until).then_some(sent)
            };
            let calls = flow.run(self.depth, next, |reader| whole_write(reader, PAGE_LEN as u64))?;
            commit(flow, &file)?;
            Ok(Came { calls, bytes: calls * PAGE_LEN as u64, times: Vec::new() })
        })
    }

    fn write_commit(&self) -> Outcome<String> {
        let (file, mut places, data) = (self.file(false)?, self.places(), Data::new());
        self.timed(|flow| {
            let (until, mut times) = (Instant::now() + self.time, Vec::new());
            while Instant::now() < until {
                let (began, bytes) = (Instant::now(), data.of_call(times.len() as u64, PAGE_LEN));
                let place = places();
                let next = |number| (number == 0).then(|| Sent::write(&file, place, bytes));
                flow.run(1, next, |reader| whole_write(reader, PAGE_LEN as u64))?;
                commit(flow, &file)?;
                times.push(began.elapsed());
            }
            let calls = times.len() as u64;
            Ok(Came { calls, bytes: calls * PAGE_LEN as u64, times })
        })
    }

    fn create(&self) -> Outcome<String> {
        let mut client = self.client()?;
        // It may be there from before.
        let _ = client.make_directory(&self.root, b"files", 0o755);
        let (directory, _) = client.lookup(&self.root, b"files")?;
        let set = Set { mode: Some(0o644), ..Set::default() };
        self.over_files(|number| Call::create(&directory, &name(number), 1, &set))
    }

    fn unlink(&self) -> Outcome<String> {
        let (directory, _) = self.client()?.lookup(&self.root, b"files")?;
        self.over_files(|number| Call::remove(&directory, &name(number)))
    }

    /// Makes a call for each file.
    fn over_files(&self, call: impl Fn(u64) -> Call) -> Outcome<String> {
        self.timed(|flow| {
            let next = |number| (number < self.calls).then(|| Sent::plain(call(number)));
            let calls = flow.run(self.depth, next, |_| Ok(()))?;
            Ok(Came { calls, bytes: 0, times: Vec::new() })
        })
    }

    fn get_attributes(&self) -> Outcome<String> {
        let mut client = self.client()?;
        let (directory, _) = client.lookup(&self.root, b"files")?;
        let handles = (0..self.calls).map(|number| Ok(client.lookup(&directory, &name(number))?.0));
        let handles = handles.collect::<Outcome<Vec<Handle>>>()?;
        self.timed(|flow| {
            let until = Instant::now() + self.time;
            let next = |number| {
                let call = Call::get_attributes(&handles[number as usize % handles.len()]);
                (Instant::now() < until).then(|| Sent::plain(call))
            };
            let calls = flow.run(self.depth, next, |_| Ok(()))?;
            Ok(Came { calls, bytes: 0, times: Vec::new() })
        })
    }

    /// Random offsets of pages in the file.
    fn places(&self) -> impl FnMut() -> u64 {
        let (mut random, pages) = (Random::new(seed()), self.file_len / PAGE_LEN as u64);
        move || random.below(pages) * PAGE_LEN as u64
    }
}

/// Random bytes, of which calls get parts that are never equal.
struct Data(Vec<u8>);

impl Data {
    fn new() -> Self {
        Self(Random::new(seed()).bytes(DATA_LEN))
    }

    /// The bytes of a call. Those of another begin elsewhere, also as blocks are counted: so no two calls have a block
    /// in common, before the 4,096th if they are longer than one.
    fn of_call(&self, number: u64, length: usize) -> &[u8] {
        let at = (number * 4097 % (DATA_LEN - TRANSFER_MAX) as u64) as usize;
        &self.0[at..at + length]
    }
}

/// Another one each time, since what was written before is stored already.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

fn name(number: u64) -> Vec<u8> {
    format!("file-{number:06}").into_bytes()
}

fn commit(flow: &mut Flow, file: &Handle) -> Outcome<()> {
    flow.run(1, |number| (number == 0).then(|| Sent::plain(Call::commit(file))), |_| Ok(())).map(drop)
}

/// Whether a READ brought all that was asked for.
fn whole_read(reader: &mut Reader<'_>, length: u64) -> Outcome<()> {
    reader.after()?;
    if u64::from(reader.word()?) == length { Ok(()) } else { Err(Failure::Garbage) }
}

/// Whether a WRITE took all that it was given.
fn whole_write(reader: &mut Reader<'_>, length: u64) -> Outcome<()> {
    reader.around()?;
    if u64::from(reader.word()?) == length { Ok(()) } else { Err(Failure::Garbage) }
}

/// Offsets and lengths of a file's pieces.
fn pieces(file_len: u64, length: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..file_len.div_ceil(length)).map(move |number| (number * length, length.min(file_len - number * length)))
}
