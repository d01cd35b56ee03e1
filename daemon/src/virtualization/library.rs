//! The seven library functions, for one job at work.

use serde_json::{Map, Value};

use cow_api::v1::{Code, JobLevel, Problem};

use crate::plugins::{Credentials, Level, Library, LibraryError, Script, ScriptOutput, Sync as Fetch};
use crate::service::Answer;
use crate::virtualization::act::Act;
use crate::virtualization::hidden::Hidden;
use crate::virtualization::records::Kind;
use crate::virtualization::run::{Job, Run};
use crate::virtualization::work::ASIDE;

/// What the SDK shows a plugin of an error that it may act on.
const ACTIONABLE: i32 = 1;
/// How bash says that there is no expect: by this line and this code.
const NO_EXPECT: (&str, i32) = ("cow: this host has no expect", 127);

/// The functions.
pub struct Shelf<'r> {
    /// The job.
    pub job: &'r Job<'r>,
    /// The recipe; discovery has none.
    pub run: Option<&'r Run<'r>>,
    /// What is not to be shown of what the plugin tells.
    pub hidden: &'r Hidden,
}

impl Shelf<'_> {
    fn script(&self, script: &Script, command: String) -> Result<ScriptOutput, LibraryError> {
        let script = Script { command, ..script.clone() };
        self.job.on.ground.run(&script, self.job.is_cancelled).map_err(told)
    }

    /// What is wrong with the host of a script in expect.
    fn without_expect(&self, script: &Script) -> Answer<Problem> {
        let ground = &self.job.on.ground;
        let name = ground.name(ground.environment(&script.connection.environment.reference)?)?;
        let problem = Problem::new(Code::Unsupported, format!("run_expect: the host of {name} has no expect"));
        Ok(problem.with_hint("install the package expect there"))
    }

    /// Fetches into the dSource through a mount on this host, which lasts as long.
    fn fetch(&self, fetch: &Fetch) -> Answer<()> {
        let job = self.job;
        // What is no job cannot be undone, so that a mount that cowd's end leaves would stay for ever.
        let is_job = job.ticket.id() != ASIDE;
        let Some(run) = self.run.filter(|run| is_job && run.source.kind == Kind::Direct) else {
            let problem = Problem::new(Code::Unsupported, "run_sync fills DIRECT dSources while they are synced");
            return Err(problem.with_hint("this is a mistake in the plugin"));
        };
        let dataset = run.dataset()?;
        let path = job.on.scratch.join(format!("sync-{}", run.id));
        job.journal.promise(Act::UnmountHere { path: path.clone() })?;
        job.on.store.mount_here(&dataset, &path)?;
        let copied = |bytes| {
            job.ticket.progress(bytes, None);
        };
        let fetched = job.on.ground.pull(fetch, &path, job.is_cancelled, &copied);
        job.on.store.unmount_here(&path)?;
        fetched
    }
}

impl Library for Shelf<'_> {
    fn run_bash(&self, script: &Script) -> Result<ScriptOutput, LibraryError> {
        self.script(script, script.command.clone())
    }

    fn run_expect(&self, script: &Script) -> Result<ScriptOutput, LibraryError> {
        let output = self.script(script, by_expect(&script.command))?;
        if output.exit_code == NO_EXPECT.1 && output.stderr.trim_end().ends_with(NO_EXPECT.0) {
            return Err(told(self.without_expect(script).unwrap_or_else(|problem| problem)));
        }
        Ok(output)
    }

    fn run_powershell(&self, _: &Script) -> Result<ScriptOutput, LibraryError> {
        let message = "run_powershell needs a Windows host, and this engine works on UNIX hosts only".to_owned();
        Err(LibraryError::NonActionable { message })
    }

    fn run_sync(&self, sync: &Fetch) -> Result<(), LibraryError> {
        self.fetch(sync).map_err(told)
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => JobLevel::Debug,
            Level::Info => JobLevel::Info,
            Level::Error => JobLevel::Error,
        };
        self.job.ticket.note(level, self.hidden.mask(message));
    }

    fn retrieve_credentials(&self, supplier: &Map<String, Value>) -> Result<Credentials, LibraryError> {
        let credentials = self.job.on.ground.credentials(supplier).map_err(told)?;
        self.hidden.add_credentials(&credentials);
        Ok(credentials)
    }

    fn upgrade_password(&self, _: &str, _: Option<&str>) -> Result<Map<String, Value>, LibraryError> {
        let message = "upgrade_password is for migrations only".to_owned();
        Err(LibraryError::NonActionable { message })
    }
}

/// Bash that lets expect do this, if it is there.
fn by_expect(text: &str) -> String {
    // The text goes in as a here-document whose end no text holds; quoted, bash leaves it as it is.
    let mut end = "END_OF_EXPECT".to_owned();
    while text.contains(&end) {
        end.push('_');
    }
    let (said, code) = NO_EXPECT;
    format!(
        "[ -x \"$(command -v expect)\" ] || {{ echo '{said}' >&2; exit {code}; }}\n\
         exec expect -f /dev/fd/3 3<<'{end}'\n{text}\n{end}\n"
    )
}

/// A plugin may act on what its host did; that the job ends is not for it to decide.
fn told(problem: Problem) -> LibraryError {
    let message = match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.detail),
        None => problem.detail.clone(),
    };
    match problem.code {
        Code::Cancelled => LibraryError::NonActionable { message },
        _ => LibraryError::Actionable { id: ACTIONABLE, message },
    }
}
