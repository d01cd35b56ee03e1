//! Puts a plugin's files where it runs from.
//!
//! Invariant: a plugin's directory is whole as soon as it is there, and its code could be imported.

use std::fs;
use std::io;
use std::path::Path;

use cow_api::v1::{Code as ProblemCode, Problem};

use crate::plugins::environment::{publish, remove};
use crate::plugins::source::{Code, Source};
use crate::plugins::{Control, Library, Package, Runner};

/// The directory of the code in that of a plugin.
const CODE: &str = "src";

impl Runner {
    /// Installs a plugin into a directory of its own, which is replaced: unpacked or copied, and imported once.
    pub fn install(
        &self,
        source: &Source,
        target: &Path,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Package, Problem> {
        let act = format!("cannot install plugin '{}'", source.package.name);
        let mut package = source.package.clone();
        let mut failed = None;
        let published = publish(target, |draft| {
            package.root = draft.join(CODE);
            fs::write(package.schema_file(), &source.schema_text)?;
            let filled = match &source.code {
                Code::Folder(folder) => copy(folder, &package.root).map(|()| Ok(())),
                Code::Artifact(artifact) => Ok(self.unpack(&package, artifact, library)),
            };
            let manifest = filled?.and_then(|()| self.inspect(&package, library, control));
            match manifest {
                Ok(manifest) => package.manifest = manifest,
                Err(failure) => {
                    failed = Some(failure.problem(&act));
                    return Err(io::Error::other("refused"));
                }
            }
            Ok(())
        });
        package.root = target.join(CODE);
        match (published, failed) {
            (Ok(()), _) => Ok(package),
            (_, Some(problem)) => Err(problem),
            (Err(error), None) => Err(Problem::new(ProblemCode::Io, format!("{act} in {}: {error}", target.display()))),
        }
    }

    /// Takes a plugin's files away.
    pub fn uninstall(&self, package: &Package) -> io::Result<()> {
        package.root.parent().map_or(Ok(()), remove)
    }
}

/// Copies a directory: files and directories, and what links lead to, but not what Python or `dvp build` made of it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let is_made = text == "__pycache__" || text.ends_with(".pyc") || text == "generated";
        if is_made {
            continue;
        }
        if fs::metadata(entry.path())?.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
