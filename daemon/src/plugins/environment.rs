//! What runs plugins on this host: the Python host's own files, interpreters, and the SDK of each generation.
//!
//! Invariant: a directory with a name of ours is whole: it is filled under another name and then renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::plugins::{Failure, Language};

/// The Python host: name and text of each file.
const HOST: [(&str, &str); 4] = [
    ("cow_host.py", include_str!("../../plugins/host/cow_host.py")),
    ("cow_engine.py", include_str!("../../plugins/host/cow_engine.py")),
    ("cow_definitions.py", include_str!("../../plugins/host/cow_definitions.py")),
    ("cow_unpack.py", include_str!("../../plugins/host/cow_unpack.py")),
];

/// How plugins are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory where the Python host, the SDKs and plugins are kept.
    pub directory: PathBuf,
    /// The interpreters, for languages that have one.
    pub interpreters: Vec<(Language, PathBuf)>,
    /// How long an operation may take, without what it waits for library functions.
    pub timeout: Duration,
    /// Bytes of memory that a plugin's process may have.
    pub memory: u64,
}

/// What runs plugins of a language.
pub struct Environment {
    /// The interpreter.
    pub python: PathBuf,
    /// The directory with the SDK.
    pub sdk: PathBuf,
    /// The Python host's program.
    pub host: PathBuf,
}

impl Settings {
    /// The interpreter of a language, as the configuration has it.
    fn interpreter(&self, language: Language) -> Result<&Path, Failure> {
        let found = self.interpreters.iter().find(|(known, _)| *known == language).map(|(_, path)| &**path);
        found.ok_or_else(|| Failure::NotSetUp {
            message: format!("there is no interpreter for {language}"),
            hint: format!("name it as plugins.{} in cowd's configuration", language.as_str().to_lowercase()),
        })
    }

    /// Where the SDK of a language is.
    fn sdk(&self, language: Language) -> PathBuf {
        self.directory.join("sdk").join(language.as_str().to_lowercase())
    }

    /// Whether plugins of a language can be run.
    pub fn is_set_up(&self, language: Language) -> bool {
        self.interpreter(language).is_ok() && self.sdk(language).is_dir()
    }

    /// What runs plugins of a language.
    pub fn environment(&self, language: Language) -> Result<Environment, Failure> {
        let python = self.interpreter(language)?.to_owned();
        let sdk = self.sdk(language);
        if !sdk.is_dir() {
            return Err(Failure::NotSetUp {
                message: format!("plugins in {language} need the SDK of that language, which is not there"),
                hint: format!("'cowctl plugin setup {language}' fetches it"),
            });
        }
        let host =
            self.host().map_err(|error| Failure::Start { message: format!("cannot write its host: {error}") })?;
        Ok(Environment { python, sdk, host })
    }

    /// The Python host's program. Each version has a directory of its own, so one that runs is never changed.
    fn host(&self) -> io::Result<PathBuf> {
        let mut hasher = blake3::Hasher::new();
        HOST.iter().for_each(|(name, text)| {
            hasher.update(name.as_bytes()).update(text.as_bytes());
        });
        let folder = self.directory.join(format!("host-{}", &hasher.finalize().to_hex()[..16]));
        if !folder.is_dir() {
            publish(&folder, |folder| HOST.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text)))?;
        }
        Ok(folder.join(HOST[0].0))
    }

    /// Fetches the SDK of a language with the interpreter's own pip: from its registry, or from `wheels` alone.
    /// Returns what pip said.
    pub fn set_up(&self, language: Language, wheels: Option<&Path>) -> Result<String, Failure> {
        let python = self.interpreter(language)?;
        let mut said = String::new();
        let folder = self.sdk(language);
        let fetched = publish(&folder, |target| {
            let mut pip = Command::new(python);
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--target"]).arg(target);
            if let Some(wheels) = wheels {
                pip.args(["--no-index", "--find-links"]).arg(wheels);
            }
            let output = pip.args(language.packages()).stdin(Stdio::null()).output()?;
            said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                Ok(())
            } else {
                Err(io::Error::other(format!("pip failed: {}", last_line(&said))))
            }
        });
        fetched.map_err(|error| Failure::NotSetUp {
            message: format!("cannot fetch the SDK for {language} with {}: {error}", python.display()),
            hint: "give a directory of wheels with --wheels where there is no registry".to_owned(),
        })?;
        Ok(said)
    }
}

/// Makes the names of drafts unique.
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn last_line(text: &str) -> &str {
    text.trim_end().lines().rfind(|line| line.to_lowercase().contains("error")).unwrap_or("it does not say why")
}

/// Makes a directory that is whole as soon as it is there; one from before is replaced.
pub fn publish(folder: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unique = format!("{}.{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let draft = folder.with_file_name(format!(".{name}.{unique}.new"));
    let before = folder.with_file_name(format!(".{name}.{unique}.old"));
    for leftover in [&draft, &before] {
        remove(leftover)?;
    }
    fs::create_dir_all(&draft)?;
    let filled = fill(&draft).and_then(|()| {
        if folder.exists() {
            fs::rename(folder, &before)?;
        }
        fs::rename(&draft, folder)
    });
    let _ = remove(&before);
    if filled.is_err() {
        let _ = remove(&draft);
    }
    filled
}

/// Removes a directory that may not be there.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
