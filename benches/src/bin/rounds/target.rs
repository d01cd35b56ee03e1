//! What the rounds write to.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::net::ToSocketAddrs;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use cow_benches::engine::{Engine, create_file, now, write};
use cow_storage::catalog::Properties;
use cow_storage::format::InodeNumber;
use cow_storage::fs::FileSystem;
use cow_tests::nfs_client::{Call, Client, Handle, Reader, Set, Stable};

type Outcome = Result<(), Box<dyn Error>>;

/// A file that can be written, made durable and kept as it is.
pub trait Target {
    /// Writes bytes at an offset; they need not be durable.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Outcome;
    /// Makes all of it durable.
    fn sync(&mut self) -> Outcome;
    /// Keeps it as it is.
    fn snapshot(&mut self, round: u64) -> Outcome;
    /// Ends what the first writing left to do.
    fn settle(&mut self) -> Outcome {
        Ok(())
    }
}

/// A file of an engine in this process.
pub struct EngineFile {
    engine: Engine,
    files: Arc<dyn FileSystem>,
    file: InodeNumber,
}

impl EngineFile {
    /// An empty file in a dataset with blocks of this size.
    pub fn new(block: u64) -> Result<Self, Box<dyn Error>> {
        let engine = Engine::new("rounds");
        let properties = Properties { block_size: u32::try_from(block)?, ..Properties::default() };
        engine.pool.create_dataset("d", &properties, now())?;
        let files = engine.pool.file_system("d")?;
        let file = create_file(&*files, InodeNumber::ROOT, "file");
        Ok(Self { engine, files, file })
    }
}

impl Target for EngineFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        write(&*self.files, self.file, offset, bytes);
        Ok(())
    }

    fn sync(&mut self) -> Outcome {
        Ok(self.files.sync(self.file)?)
    }

    fn snapshot(&mut self, round: u64) -> Outcome {
        self.engine.pool.snapshot(&[("d", &format!("round{round}"))], now())?;
        Ok(())
    }

    fn settle(&mut self) -> Outcome {
        Ok(self.engine.pool.commit(now())?)
    }
}

/// A file of a mounted file system.
pub struct HostFile {
    file: File,
    snapshot: String,
}

impl HostFile {
    /// An empty file at `path`; `snapshot` is the command that keeps it.
    pub fn new(path: &str, snapshot: &str) -> Result<Self, Box<dyn Error>> {
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path)?;
        Ok(Self { file, snapshot: snapshot.to_owned() })
    }
}

impl Target for HostFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        Ok(self.file.write_all_at(bytes, offset)?)
    }

    fn sync(&mut self) -> Outcome {
        Ok(self.file.sync_all()?)
    }

    fn snapshot(&mut self, round: u64) -> Outcome {
        told(&self.snapshot, round)
    }
}

/// A file on a server, written as a kernel's client does: calls in flight, none of them stable, and a COMMIT.
pub struct NfsFile {
    client: Client,
    file: Handle,
    waiting: Vec<(u64, Vec<u8>)>,
    snapshot: String,
}

/// Calls in flight at once.
const DEPTH: usize = 16;

impl NfsFile {
    /// An empty file in what `address` shares as `export`; `snapshot` is the command that keeps it.
    pub fn new(address: &str, export: &str, snapshot: &str) -> Result<Self, Box<dyn Error>> {
        let server = address.to_socket_addrs()?.next().ok_or("there is no such address")?;
        let mut client = Client::connect(server)?;
        let root = client.mount(export)?;
        let file = client.create(&root, b"file", false, &Set::default())?;
        Ok(Self { client, file, waiting: Vec::new(), snapshot: snapshot.to_owned() })
    }

    fn send(&mut self) -> Outcome {
        let waiting = std::mem::take(&mut self.waiting);
        let calls = waiting.iter().map(|(offset, bytes)| Call::write(&self.file, *offset, bytes, Stable::No));
        let sent = self.client.pipeline(DEPTH, calls, |_, results| Reader(&results?).status());
        Ok(sent?)
    }
}

impl Target for NfsFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        self.waiting.push((offset, bytes.to_vec()));
        if self.waiting.len() == 256 { self.send() } else { Ok(()) }
    }

    fn sync(&mut self) -> Outcome {
        self.send()?;
        self.client.commit(&self.file)?;
        Ok(())
    }

    fn snapshot(&mut self, round: u64) -> Outcome {
        told(&self.snapshot, round)
    }
}

fn told(command: &str, round: u64) -> Outcome {
    let command = command.replace("{}", &round.to_string());
    let status = Command::new("sh").args(["-c", &command]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
}
