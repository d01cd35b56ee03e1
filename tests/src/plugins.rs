//! Plugins under test: interpreters and SDKs where they are, and a library that answers without a host.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cowd::plugins::{
    Cancel, Credentials, Language, Level, Library, LibraryError, Package, Runner, Script, ScriptOutput, Secret,
    Settings, Source, Sync,
};
use serde_json::{Map, Value, json};
use std::sync::{Mutex, PoisonError};

/// Where the fixtures are.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plugins")
}

/// The interpreter of a language, if this machine has it.
pub fn interpreter(language: Language) -> Option<PathBuf> {
    let version = match language {
        Language::Python311 => "3.11",
        Language::Python38 => "3.8",
        Language::Python27 => "2.7",
    };
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let pyenv = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().filter_map(Result::ok);
    let pyenv = pyenv.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(format!("python{version}"))).collect();
    pyenv.map(|entry| entry.path().join("bin/python")).chain(in_path).find(|python| python.is_file())
}

/// Where SDKs are kept from run to run.
fn cache() -> PathBuf {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    env::var_os("COW_PLUGINS").map_or_else(|| home.join(".cache/cow-plugins/state"), PathBuf::from)
}

static SETTING_UP: Mutex<()> = Mutex::new(());

/// Settings for a language; `None`, with a word, where its interpreter or SDK cannot be had.
pub fn settings(language: Language) -> Option<Settings> {
    let Some(python) = interpreter(language) else {
        eprintln!("skipped: there is no interpreter for {language}");
        return None;
    };
    let interpreters = vec![(language, python)];
    let timeout = Duration::from_secs(60);
    let settings = Settings { directory: cache(), interpreters, timeout, memory: 2 << 30 };
    let _one_at_a_time = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    if !settings.is_set_up(language)
        && let Err(failure) = settings.set_up(language, None)
    {
        eprintln!("skipped: {}", failure.problem("the SDK").detail);
        return None;
    }
    Some(settings)
}

/// A folder with the wheels that a language's SDK consists of, as an administrator without a registry has it. `None`, with a
/// word, where they cannot be fetched.
pub fn wheels(language: Language) -> Option<PathBuf> {
    let python = interpreter(language)?;
    let _one_at_a_time = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = cache().join("wheels").join(language.as_str().to_lowercase());
    if !folder.is_dir() {
        let draft = folder.with_extension("new");
        let _ = fs::remove_dir_all(&draft);
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "wheel", "-q", "-w"]).arg(&draft).args(language.packages());
        if !pip.output().is_ok_and(|output| output.status.success()) || fs::rename(&draft, &folder).is_err() {
            eprintln!("skipped: the wheels for {language} cannot be fetched");
            return None;
        }
    }
    Some(folder)
}

/// Installs a plugin into a folder.
pub fn install(runner: &Runner, source: &Path, target: &Path) -> Package {
    let source = Source::read(source).unwrap_or_else(|problem| panic!("{}", problem.detail));
    let library = FakeLibrary::default();
    runner
        .install(&source, target, &library, &Cancel::default())
        .unwrap_or_else(|problem| panic!("{}\n{:?}\n{}", problem.detail, problem.output, library.log().join("\n")))
}

/// A library without hosts: it keeps what it is asked.
#[derive(Default)]
pub struct FakeLibrary {
    asked: Mutex<Vec<Value>>,
    logged: Mutex<Vec<(Level, String)>>,
}

impl FakeLibrary {
    /// What was asked for, but not logged.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// What was logged.
    pub fn log(&self) -> Vec<String> {
        self.logged.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    /// The level of the first line with this text.
    pub fn level(&self, text: &str) -> Option<Level> {
        self.logged.lock().unwrap().iter().find(|(_, line)| line.contains(text)).map(|(level, _)| *level)
    }

    /// What the recorder recorded.
    pub fn recorded(&self) -> Vec<Value> {
        let log = self.log();
        let lines = log.iter().filter_map(|line| line.strip_prefix("recorded "));
        lines.map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
    }

    fn script(&self, function: &str, script: &Script) -> Result<ScriptOutput, LibraryError> {
        self.asked.lock().unwrap().push(json!({
            "function": function,
            "environment": script.connection.environment.reference,
            "user": script.connection.user.name,
            "command": script.command,
            "variables": script.variables,
            "use_login_shell": script.use_login_shell,
        }));
        match script.command.as_str() {
            "library_actionable" => Err(LibraryError::Actionable { id: 3, message: "no route to host".to_owned() }),
            "library_fatal" => Err(LibraryError::NonActionable { message: "the disk of the host is gone".to_owned() }),
            "library_check" => Ok(ScriptOutput { exit_code: 2, stdout: "o".to_owned(), stderr: "e".to_owned() }),
            _ => Ok(ScriptOutput { exit_code: 0, stdout: "büsh".to_owned(), stderr: String::new() }),
        }
    }
}

impl Library for FakeLibrary {
    fn run_bash(&self, script: &Script) -> Result<ScriptOutput, LibraryError> {
        self.script("run_bash", script)
    }

    fn run_expect(&self, script: &Script) -> Result<ScriptOutput, LibraryError> {
        self.script("run_expect", script)
    }

    fn run_powershell(&self, script: &Script) -> Result<ScriptOutput, LibraryError> {
        self.script("run_powershell", script)
    }

    fn run_sync(&self, sync: &Sync) -> Result<(), LibraryError> {
        self.asked.lock().unwrap().push(json!({
            "function": "run_sync",
            "environment": sync.connection.environment.reference,
            "source_directory": sync.source_directory,
            "rsync_user": sync.rsync_user,
            "exclude_paths": sync.exclude_paths,
            "sym_links_to_follow": sync.sym_links_to_follow,
        }));
        Ok(())
    }

    fn log(&self, level: Level, message: &str) {
        self.logged.lock().unwrap().push((level, message.to_owned()));
    }

    fn retrieve_credentials(&self, supplier: &Map<String, Value>) -> Result<Credentials, LibraryError> {
        self.asked.lock().unwrap().push(json!({ "function": "retrieve_credentials", "supplier": supplier }));
        Ok(Credentials { username: "db".to_owned(), secret: Secret::Password("12345".to_owned()) })
    }

    fn upgrade_password(&self, password: &str, username: Option<&str>) -> Result<Map<String, Value>, LibraryError> {
        let supplier = BTreeMap::from([
            ("type", "NamedPasswordCredential"),
            ("username", username.unwrap_or_default()),
            ("password", password),
        ]);
        Ok(supplier.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

/// The SDK's own tool, `dvp`, where it and Java are.
pub fn tools() -> Option<PathBuf> {
    let folder = cache().join("dvp");
    let dvp = folder.join("bin/dvp");
    let python = interpreter(Language::Python311)?;
    let has_java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    if !has_java {
        eprintln!("skipped: 'dvp build' needs Java");
        return None;
    }
    let _one_at_a_time = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    if !dvp.is_file() {
        let made = Command::new(python).args(["-m", "venv"]).arg(&folder).status();
        let pip = Command::new(folder.join("bin/pip")).args(["install", "-q", "dvp==5.2.0"]).status();
        if !made.is_ok_and(|status| status.success()) || !pip.is_ok_and(|status| status.success()) {
            let _ = fs::remove_dir_all(&folder);
            eprintln!("skipped: dvp 5.2.0 cannot be fetched");
            return None;
        }
    }
    Some(dvp)
}

/// The SDK's tool of the generation that a language belongs to.
struct Dvp {
    python: PathBuf,
    folder: PathBuf,
}

impl Dvp {
    /// Fetches it where it is not there yet.
    fn new(language: Language) -> Option<Self> {
        let version = match language {
            Language::Python311 => "5.2.0",
            Language::Python38 => "4.1.0",
            Language::Python27 => "3.1.0",
        };
        let dvp = Self { python: interpreter(language)?, folder: cache().join(format!("dvp-{version}")) };
        if !dvp.folder.is_dir() {
            let draft = dvp.folder.with_extension("new");
            let _ = fs::remove_dir_all(&draft);
            let mut pip = Command::new(&dvp.python);
            pip.args(["-m", "pip", "install", "-q", "--target"]).arg(&draft).arg(format!("dvp=={version}"));
            if !pip.output().is_ok_and(|output| output.status.success()) || fs::rename(&draft, &dvp.folder).is_err() {
                eprintln!("skipped: dvp {version} cannot be fetched");
                return None;
            }
        }
        Some(dvp)
    }

    /// Runs it in a folder; it must succeed.
    fn run(&self, folder: &Path, arguments: &[&str]) {
        // What was installed beside the interpreter's own modules has namespaces, which only this makes known.
        let program = format!(
            "import site, sys; site.addsitedir({:?}); \
             from dlpx.virtualization._internal.cli import delphix_sdk; sys.exit(delphix_sdk())",
            self.folder
        );
        let mut command = Command::new(&self.python);
        command.arg("-c").arg(program).args(arguments).current_dir(folder).env("HOME", folder);
        let output = command.output().expect("the interpreter starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dvp {arguments:?}: {told}");
    }
}

/// The SDK's own template of a type, with the artifact that `dvp build` makes of it: the folder has `artifact.json`.
/// `None`, with a word, where the interpreter, the SDK or Java is missing.
pub fn template(language: Language, plugin_type: &str) -> Option<PathBuf> {
    settings(language)?;
    tools()?;
    let _one_at_a_time = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let dvp = Dvp::new(language)?;
    let name = format!("made-{plugin_type}-{language}").to_lowercase();
    let folder = cache().join("templates").join(&name);
    if !folder.join("artifact.json").is_file() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the cache can be written");
        dvp.run(&folder, &["init", "-s", plugin_type, "-n", &name, "-t", "UNIX"]);
        dvp.run(&folder, &["build"]);
    }
    Some(folder)
}
