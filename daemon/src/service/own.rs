//! A directory of a dataset as a host is to find it when it mounts it: there, and its user's.

use cow_api::v1::{Code, Problem};
use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context, NewObject};

use crate::clock;
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// Makes a directory of a dataset and those above it that are missing, `/` being its root, and gives it to a user and
    /// a group. What is in it is not touched.
    pub fn own_directory(&self, dataset: &str, directory: &str, owner: (u32, u32)) -> Answer<()> {
        let files = self.pool().file_system(dataset).map_err(problem)?;
        let context = Context { now: clock::now(), caller: Caller::Superuser, durable: true, call: None };
        let owned = AttributeChange { uid: Some(owner.0), gid: Some(owner.1), ..AttributeChange::default() };
        let mut at = InodeNumber::ROOT;
        let walked = directory.split('/').filter(|name| !name.is_empty() && *name != ".").try_for_each(|name| {
            let found = match files.lookup(&context, at, name.as_bytes()) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let made = files.create(&context, at, name.as_bytes(), &NewObject::Directory, 0o755, &owned)?;
                    made.object.inode
                }
                found => found?.inode,
            };
            at = found;
            Ok::<(), Error>(())
        });
        let outcome = walked.and_then(|()| {
            let now = files.attributes(at)?;
            // A clone that is its user's already stays as its origin is, to the last byte.
            if (now.uid, now.gid) != owner {
                files.set_attributes(&context, at, &owned, None)?;
            }
            Ok(())
        });
        outcome.map_err(|error| match error.kind() {
            ErrorKind::NotDirectory => {
                let detail = format!("cannot mount {directory} of {dataset}: a part of it is no directory");
                Problem::new(Code::Conflict, detail).with_hint("the plugin's mount specification names another")
            }
            _ => problem(error),
        })
    }
}
