//! Calls operations of plugins, each in a fresh Python process.
//!
//! Invariant: an operation that the plugin does not have is never called, and every answer is one that the caller
//! asked for.

use std::path::Path;

use serde_json::{Value, json};

use crate::plugins::asked;
use crate::plugins::environment::{Environment, Settings};
use crate::plugins::process::{Process, describe};
use crate::plugins::{
    Call, Control, Failure, Level, Library, Manifest, Operation, Package, PluginFault, Reply, schema, wire,
};

/// Most bytes of an operation's arguments, and of its answer.
const MESSAGE_LEN_MAX: usize = 4 << 20;

/// Who calls operations: the [`Runner`], or a test in its place.
pub trait Caller: Send + Sync {
    /// Calls an operation and waits for its answer. It is refused when the package does not have it.
    fn call(
        &self,
        package: &Package,
        call: &Call,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Reply, Failure>;
}

/// Runs plugins.
pub struct Runner {
    settings: Settings,
}

impl Runner {
    /// A runner; nothing is run yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// How it runs them.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Imports a plugin and asks what it can do, as `dvp build` does.
    pub fn inspect(
        &self,
        package: &Package,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Manifest, Failure> {
        let operations: Vec<_> = Operation::all().map(|operation| [operation.group(), operation.name()]).collect();
        let task = self.task(package, json!({ "mode": "inspect", "operations": operations }));
        let environment = self.settings.environment(package.language)?;
        let fields = self.run(&environment, &task, library, control)?;
        let found = fields["operations"].as_array().map_or(&[][..], Vec::as_slice);
        let is_found = |operation: &Operation| {
            found.iter().any(|pair| pair[0] == operation.group() && pair[1] == operation.name())
        };
        let ids = fields["migration_ids"].as_array().map_or(&[][..], Vec::as_slice);
        let migration_ids = ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        Ok(Manifest { operations: Operation::all().filter(is_found).collect(), migration_ids })
    }

    /// Unpacks the code of an artifact into a directory.
    pub fn unpack(&self, package: &Package, artifact: &Path, library: &dyn Library) -> Result<(), Failure> {
        let task = json!({ "mode": "unpack", "artifact": artifact, "target": package.root });
        let environment = self.settings.environment(package.language)?;
        self.run(&environment, &task, library, &Never).map(drop)
    }

    /// What every task on a plugin's code needs to know.
    fn task(&self, package: &Package, mut task: Value) -> Value {
        task["root"] = json!(package.root);
        task["entry_point"] = json!(package.entry_point);
        task["schemas"] = json!(package.schema_file());
        task["memory"] = json!(self.settings.memory);
        task["answer_max"] = json!(MESSAGE_LEN_MAX);
        task
    }

    /// Runs a task to its end. Returns the fields of the result.
    fn run(
        &self,
        environment: &Environment,
        task: &Value,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Value, Failure> {
        let mut task = task.clone();
        task["folders"] = json!([environment.sdk]);
        let start = |error: std::io::Error| Failure::Start {
            message: format!("cannot start {}: {error}", environment.python.display()),
        };
        let mut process = Process::start(environment).map_err(start)?;
        let mut print = |line: &str| library.log(Level::Info, line);
        let mut fatal = None;
        let answer = process
            .send(&task)
            .map_or(Ok(None), |()| self.converse(&mut process, library, control, &mut print, &mut fatal));
        let (status, printed) = process.end(matches!(answer, Ok(None)), &mut print);
        match answer? {
            None => Err(Failure::Died { how: describe(status), output: printed }),
            Some(mut answer) if answer["done"].is_object() => Ok(answer["done"].take()),
            Some(answer) => Err(self.failure(&answer["failed"], fatal)),
        }
    }

    /// Answers what the plugin asks until it is done. `None` is its end without a word.
    fn converse(
        &self,
        process: &mut Process,
        library: &dyn Library,
        control: &dyn Control,
        print: &mut dyn FnMut(&str),
        fatal: &mut Option<String>,
    ) -> Result<Option<Value>, Failure> {
        loop {
            let Some(line) = process.receive(self.settings.timeout, control, print)? else { return Ok(None) };
            let mut message: Value = serde_json::from_slice(&line)
                .map_err(|error| Failure::Protocol { detail: format!("the Python host sent no JSON: {error}") })?;
            let Some(function) = message["library"].as_str().map(str::to_owned) else { return Ok(Some(message)) };
            let answered = asked::answer(library, &function, message["request"].take())?;
            *fatal = answered.fatal.or(fatal.take());
            if process.send(&answered.answer).is_err() {
                return Ok(None);
            }
        }
    }

    /// The failure that the host tells of.
    fn failure(&self, told: &Value, fatal: Option<String>) -> Failure {
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let plugin = |kind: PluginFault| Failure::Plugin { kind, message: text("message"), stack: text("stack") };
        match told["kind"].as_str().unwrap_or_default() {
            "user" => Failure::User { message: text("message"), action: text("action"), output: text("output") },
            "exit" => match fatal {
                Some(message) => Failure::Library { message },
                None => plugin(PluginFault::Exit),
            },
            "exception" => plugin(PluginFault::Exception),
            "runtime" | "missing" => plugin(PluginFault::Runtime),
            "definition" => plugin(PluginFault::Definition),
            "library_error" => plugin(PluginFault::LibraryError),
            "import" | "unsupported" | "artifact" => plugin(PluginFault::Import),
            "memory" => Failure::Memory { limit: self.settings.memory },
            "too_large" => Failure::TooLarge { what: "the plugin's answer", limit: MESSAGE_LEN_MAX },
            other => Failure::Protocol { detail: format!("the Python host failed with '{other}'") },
        }
    }
}

/// Nobody cancels.
struct Never;

impl Control for Never {
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Caller for Runner {
    fn call(
        &self,
        package: &Package,
        call: &Call,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Reply, Failure> {
        if let Some(operation) = call.operation().filter(|operation| !package.has(*operation)) {
            return Err(Failure::Missing { operation });
        }
        let environment = self.settings.environment(package.language)?;
        let request = wire::request(call);
        if request.fields.to_string().len() > MESSAGE_LEN_MAX {
            return Err(Failure::TooLarge { what: "what the operation is to be given", limit: MESSAGE_LEN_MAX });
        }
        let task = json!({
            "mode": "call",
            "group": request.group,
            "function": request.function,
            "request": request.class,
            "fields": request.fields,
        });
        let fields = self.run(&environment, &self.task(package, task), library, control)?;
        let mut reply = wire::reply(call, &fields)?;
        schema::check_reply(package, call, &mut reply)?;
        Ok(reply)
    }
}
