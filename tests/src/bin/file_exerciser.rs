//! Changes files at random on a mount while snapshots are taken, and compares each snapshot, at the end, with what its file
//! was at that moment: `file-exerciser FOLDER SEED FILES OPERATIONS SNAPSHOTS COMMAND..`.
//!
//! Every file has a thread and a model in memory. COMMAND with `take NAME` behind it takes a snapshot of the dataset that is
//! mounted at FOLDER; meanwhile the snapshot's own file rests, synced, and the others go on. With `show NAME` it prints the
//! folder where that snapshot can be read, and `hide NAME` follows.

use std::env;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use cow_tests::random::Random;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FILE_LEN_MAX: u64 = 1 << 20;
const OPERATION_LEN_MAX: u64 = 96 << 10;

/// One file, and what it should be.
struct Exercised {
    path: PathBuf,
    file: File,
    model: Vec<u8>,
    random: Random,
    seed: u64,
}

/// What a snapshot has to have.
struct Kept {
    name: String,
    file: String,
    /// Its content's: a guest of user-mode Linux cannot have two thousand contents in memory.
    hash: blake3::Hash,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, seed, files, operations, snapshots, command @ ..] = arguments.as_slice() else {
        return Err("usage: file-exerciser FOLDER SEED FILES OPERATIONS SNAPSHOTS COMMAND..".into());
    };
    let (folder, seed) = (Path::new(folder), seed.parse::<u64>()?);
    let (files, operations, snapshots): (u64, u64, u64) = (files.parse()?, operations.parse()?, snapshots.parse()?);
    let each = (operations / files, (operations / snapshots.max(1)).max(1));
    let kept = thread::scope(|scope| {
        let threads: Vec<_> = (0..files)
            .map(|number| scope.spawn(move || exercise(folder, seed.wrapping_add(number << 32), number, each, command)))
            .collect();
        let mut kept = Vec::new();
        for thread in threads {
            kept.extend(thread.join().map_err(|_| "a thread ended")??);
        }
        Result::Ok(kept)
    })?;
    for Kept { name, file, hash } in &kept {
        let path = Path::new(run(command, "show", name)?.trim()).join(file);
        let found = fs::read(&path)?;
        if blake3::hash(&found) != *hash {
            return Err(format!("{}: its {} bytes are not those of its moment", path.display(), found.len()).into());
        }
        run(command, "hide", name)?;
    }
    println!("{operations} operations on {files} files, {} snapshots", kept.len());
    Ok(())
}

/// A thread: `each` says how many operations, and after how many a snapshot is taken.
fn exercise(folder: &Path, seed: u64, number: u64, each: (u64, u64), command: &[String]) -> Result<Vec<Kept>> {
    let name = format!("file-{number}");
    let path = folder.join(&name);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let mut exercised = Exercised { path, file, model: Vec::new(), random: Random::new(seed), seed };
    let mut kept = Vec::new();
    for operation in 0..each.0 {
        exercised.step().map_err(|what| format!("{name}, seed {seed}, operation {operation}: {what}"))?;
        if exercised.random.below(each.1) == 0 {
            exercised.file.sync_all()?;
            let snapshot = format!("s{number}-{operation}");
            run(command, "take", &snapshot)?;
            kept.push(Kept { name: snapshot, file: name.clone(), hash: blake3::hash(&exercised.model) });
        }
    }
    exercised.check_all()?;
    Ok(kept)
}

fn run(command: &[String], verb: &str, name: &str) -> Result<String> {
    let (program, words) = command.split_first().ok_or("no command")?;
    let output = Command::new(program).args(words).args([verb, name]).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{command:?} {verb} {name}: {said}").into()) }
}

impl Exercised {
    fn step(&mut self) -> Result<()> {
        match self.random.below(100) {
            0..40 => self.write(),
            40..70 => self.read(),
            70..80 => self.cut(),
            80..88 => self.append(),
            88..94 => Ok(self.file.sync_data()?),
            94..97 => Ok(self.file.sync_all()?),
            _ => self.reopen(),
        }
    }

    fn place(&mut self) -> (u64, usize) {
        let (offset, length) = (self.random.below(FILE_LEN_MAX), 1 + self.random.below(OPERATION_LEN_MAX));
        // Half of all lie on pages.
        let (offset, length) =
            if self.random.below(2) == 0 { (offset & !4095, (length + 4095) & !4095) } else { (offset, length) };
        (offset, length.min(FILE_LEN_MAX - offset) as usize)
    }

    fn write_at(&mut self, offset: u64, length: usize) -> Result<()> {
        let bytes = self.random.bytes(length);
        let start = offset as usize;
        if self.model.len() < start + length {
            self.model.resize(start + length, 0);
        }
        self.model[start..start + length].copy_from_slice(&bytes);
        Ok(self.file.write_all_at(&bytes, offset)?)
    }

    fn write(&mut self) -> Result<()> {
        let (offset, length) = self.place();
        self.write_at(offset, length)
    }

    fn append(&mut self) -> Result<()> {
        let offset = self.model.len() as u64;
        let length = (1 + self.random.below(9000)).min(FILE_LEN_MAX - offset);
        self.write_at(offset, length as usize)
    }

    fn read(&mut self) -> Result<()> {
        let (offset, length) = self.place();
        let start = (offset as usize).min(self.model.len());
        let expected = &self.model[start..self.model.len().min(start + length)];
        let mut bytes = vec![0; expected.len()];
        self.file.read_exact_at(&mut bytes, start as u64)?;
        same(&bytes, expected)
    }

    fn cut(&mut self) -> Result<()> {
        // Linux's NFS client cuts a file after one COMMIT. If that tells that the server lost writes, as it was started anew, the
        // client sends them again after the cut, each to the end of its page, and the file is longer than it was cut to.
        self.file.sync_data()?;
        let length = self.random.below(FILE_LEN_MAX);
        self.model.resize(length as usize, 0);
        self.file.set_len(length)?;
        let found = self.file.metadata()?.len();
        if found == length { Ok(()) } else { Err(format!("cut to {length} bytes, it has {found}").into()) }
    }

    fn reopen(&mut self) -> Result<()> {
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.check_all()
    }

    fn check_all(&self) -> Result<()> {
        same(&fs::read(&self.path)?, &self.model).map_err(|what| format!("seed {}: {what}", self.seed).into())
    }
}

fn same(found: &[u8], expected: &[u8]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(one, other)| one != other);
    let lengths = (found.len(), expected.len());
    Err(format!("differs at {at:?}; lengths {lengths:?}").into())
}
