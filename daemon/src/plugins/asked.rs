//! A library function as the Python host asks for it, and the answer as it takes it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use std::collections::BTreeMap;

use crate::plugins::{
    Connection, Credentials, Failure, Level, Library, LibraryError, Script, ScriptOutput, Secret, Sync,
};

/// The fields of a request. Those that are empty are left out of it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    remote_connection: Connection,
    command: String,
    variables: BTreeMap<String, String>,
    use_login_shell: bool,
    source_directory: String,
    rsync_user: Option<String>,
    exclude_paths: Vec<String>,
    sym_links_to_follow: Vec<String>,
    message: String,
    level: Option<String>,
    credentials_supplier: Map<String, Value>,
    password: String,
    username: Option<String>,
}

/// What the library answered: the host's answer, and the message of an error that ends the plugin.
pub struct Answered {
    /// As the host takes it.
    pub answer: Value,
    /// Why the plugin is about to end.
    pub fatal: Option<String>,
}

/// Asks the library what the plugin asks.
pub fn answer(library: &dyn Library, function: &str, request: Value) -> Result<Answered, Failure> {
    let fields: Fields = read(request)?;
    let answered = match function {
        "run_bash" => library.run_bash(&fields.script()).map(output),
        "run_expect" => library.run_expect(&fields.script()).map(output),
        "run_powershell" => library.run_powershell(&fields.script()).map(output),
        "run_sync" => library.run_sync(&fields.sync()).map(|()| json!({})),
        "log" => {
            library.log(fields.level(), &shown(&fields.message));
            Ok(json!({}))
        }
        "retrieve_credentials" => library.retrieve_credentials(&fields.credentials_supplier).map(credentials),
        "upgrade_password" => library
            .upgrade_password(&fields.password, fields.username.as_deref())
            .map(|supplier| json!({ "credentials_supplier": supplier })),
        other => return Err(Failure::Protocol { detail: format!("there is no library function {other}") }),
    };
    Ok(match answered {
        Ok(value) => Answered { answer: json!({ "return_value": value }), fatal: None },
        Err(LibraryError::Actionable { id, message }) => {
            let error = json!({ "actionable_error": { "id": id, "message": message } });
            Answered { answer: json!({ "error": error }), fatal: None }
        }
        Err(LibraryError::NonActionable { message }) => {
            Answered { answer: json!({ "error": { "non_actionable_error": {} } }), fatal: Some(message) }
        }
    })
}

fn read<T: DeserializeOwned>(request: Value) -> Result<T, Failure> {
    // Not the error itself: it may quote a secret.
    serde_json::from_value(request)
        .map_err(|_| Failure::Protocol { detail: "a library function's arguments make no sense".to_owned() })
}

impl Fields {
    fn script(self) -> Script {
        let Self { remote_connection, command, variables, use_login_shell, .. } = self;
        Script { connection: remote_connection, command, variables, use_login_shell }
    }

    fn sync(self) -> Sync {
        let Self { remote_connection, source_directory, rsync_user, exclude_paths, sym_links_to_follow, .. } = self;
        Sync { connection: remote_connection, source_directory, rsync_user, exclude_paths, sym_links_to_follow }
    }

    fn level(&self) -> Level {
        match self.level.as_deref() {
            Some("ERROR") => Level::Error,
            Some("INFO") => Level::Info,
            _ => Level::Debug,
        }
    }
}

fn output(output: ScriptOutput) -> Value {
    json!({ "exit_code": output.exit_code, "stdout": output.stdout, "stderr": output.stderr })
}

fn credentials(credentials: Credentials) -> Value {
    match credentials.secret {
        Secret::Password(password) => json!({ "username": credentials.username, "password": password }),
        Secret::KeyPair { private_key, public_key } => json!({
            "username": credentials.username,
            "key_pair": { "private_key": private_key, "public_key": public_key },
        }),
    }
}

/// Text without control characters but line ends and tabs, so that a log shows what was meant.
pub fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}
