//! Opens the pool, and makes it at the first start.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cow_api::v1::{Code, Problem};
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::PoolId;
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{NewPool, Pool};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::clock;
use crate::config::Config;
use crate::daemon::failure::{THREADS, failure};
use crate::executor::Threads;
use crate::logging::Chain;

/// Takes the pool's directory, which is made where there is none, and keeps others out of it.
pub fn take(config: &Config) -> Result<Arc<dyn Media>, Problem> {
    raise_file_limit();
    make_directory(&config.pool)?;
    let media = Directory::open(&config.pool).map_err(|error| not_opened(&config.pool, error))?;
    Ok(Arc::new(media))
}

/// Opens the pool, recovering it, or makes it where there is none.
pub fn open(config: &Config, media: Arc<dyn Media>) -> Result<Pool, Problem> {
    let began = Instant::now();
    let executor = Arc::new(Threads::of_this_machine().map_err(|error| failure(&error, THREADS))?);
    let opened = || -> Result<Pool, Error> {
        let is_new = !Pool::exists(&*media)?;
        if is_new {
            create(&media, config)?;
        }
        let boot = u64::from_le_bytes(random()?);
        let pool = Pool::open(media.clone(), executor, config.memory.clone(), boot, clock::now())?;
        let (path, millis) = (config.pool.display().to_string(), began.elapsed().as_millis() as u64);
        tracing::info!(path, millis, "{}", if is_new { "made the pool" } else { "opened the pool" });
        Ok(pool)
    };
    opened().map_err(|error| match Pool::superblock_is_lost(&media) {
        Ok(true) => superblock_lost(&config.pool, error),
        _ => not_opened(&config.pool, error),
    })
}

fn create(media: &Arc<dyn Media>, config: &Config) -> Result<(), Error> {
    let segment_size = u32::try_from(config.segment_size)
        .map_err(|_| Error::new(ErrorKind::Invalid, "a segment has at most 64 MiB"))?;
    let (id, secret) = (PoolId(random()?), random()?);
    Pool::create(media, &NewPool { id, secret, segment_size, intent_size: config.intent_size })
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())
            .map_err(|errno| Error::because(ErrorKind::Io, "cannot draw random bytes", errno))?;
    }
    Ok(bytes)
}

/// Makes the pool's directory, for the daemon alone, and refuses one that holds other things.
fn make_directory(path: &Path) -> Result<(), Problem> {
    let cannot = |error| failure(&error, "give a directory that cowd may write to with --pool");
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
    let names = fs::read_dir(path).map_err(cannot)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name != "lost+found").collect();
    // Taking the directory makes the lock before anything else, so that where it is, a pool was begun.
    if names.is_empty() || names.iter().any(|name| name == "lock") {
        return Ok(());
    }
    let detail = format!("{} is no place for a pool: it holds other files, such as '{}'", path.display(), names[0]);
    Err(Problem::new(Code::Exists, detail).with_hint("give an empty directory with --pool"))
}

fn superblock_lost(path: &Path, error: Error) -> Problem {
    let hint = format!("'cowd recover-superblock --pool {}' finds it again", path.display());
    not_opened(path, error).with_hint(hint)
}

/// Why the pool at `path` cannot be used.
pub fn not_opened(path: &Path, error: Error) -> Problem {
    let (code, hint) = match error.kind() {
        ErrorKind::Busy => (Code::Busy, "is another cowd running? One pool has one daemon"),
        ErrorKind::Access | ErrorKind::Permission => (Code::PermissionDenied, "cowd must own the pool's directory"),
        ErrorKind::NoSpace => {
            (Code::NoSpace, "a pool needs about 1 GiB to begin with: give the host's file system room")
        }
        ErrorKind::Corrupt => (Code::Corrupt, "the host's log may tell of a failing disk"),
        ErrorKind::UnknownVersion => {
            (Code::Unsupported, "nothing was changed; CHANGELOG.md tells which version reads which format")
        }
        _ => (Code::Io, "the host's log may say more"),
    };
    Problem::new(code, format!("cannot open the pool in {}: {}", path.display(), Chain(&error))).with_hint(hint)
}

/// Thousands of connections and segments are open files; the usual soft limit is for programs that use `select`.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
