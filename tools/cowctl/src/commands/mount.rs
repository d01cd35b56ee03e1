//! `cowctl mount`: mounts datasets and snapshots on the daemon's host, and lists what is mounted.

use cow_api::v1::{Mount, MountState, Mounts, NewMount, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{NO_HEADER, Session, absolute_directory};
use crate::failure::Failure;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "mount",
    about: "Mount a dataset or snapshot on this host, or list what is mounted",
    operands: "[DATASET[@SNAPSHOT] PATH]",
    count: 0..=2,
    flags: &[
        Flag { short: Some('a'), long: "allow-other", value: None, about: "Let users other than the daemon's use it" },
        Flag { short: Some('r'), long: "read-only", value: None, about: "Let nobody change anything through it" },
        Flag { short: None, long: "root-squash", value: None, about: "Take root for nobody, as NFS shares do" },
        NO_HEADER,
    ],
    more: "PATH is an empty directory of the daemon's host. The mount comes back when the daemon restarts, until it is\n\
           unmounted. A snapshot can only be read. Changes made through NFS are seen after a second at most.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    match &given.operands[..] {
        [] => list(session, given),
        [name, directory] => mount(session, given, name, directory),
        _ => Err(Failure::usage("mount: too little is given", "say what to mount, and where")),
    }
}

fn mount(session: &Session<'_>, given: &Given, name: &str, directory: &str) -> Result<(), Failure> {
    let request = NewMount {
        name: name.to_owned(),
        path: absolute_directory(directory)?,
        read_only: given.has("read-only"),
        allow_other: given.has("allow-other"),
        root_squash: given.has("root-squash"),
    };
    let mount: Mount = session.client.post(path::MOUNTS, &request)?;
    session.output.result("mount", &mount, || session.output.line(&format!("Mounted {} at {}", mount.name, mount.path)))
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let mounts: Mounts = session.client.get(path::MOUNTS)?;
    session.output.result("mounts", &mounts, || {
        let style = Style { for_scripts: given.has("no-header"), exact: false };
        let headings = ["path", "name", "options", "open", "state"].map(str::to_owned).to_vec();
        let table = Table { headings, rows: mounts.mounts.iter().map(row).collect() };
        if table.rows.is_empty() && !style.for_scripts {
            return Ok(());
        }
        let lines = table.lines(style, |tone, text| session.output.paint(tone, text));
        lines.iter().try_for_each(|line| session.output.line(line))
    })
}

fn row(mount: &Mount) -> Vec<Cell> {
    let options = mount.options;
    let given =
        [(options.read_only, "read-only"), (options.allow_other, "allow-other"), (options.root_squash, "root-squash")];
    let given: Vec<&str> = given.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
    let state = match (mount.state, &mount.failure) {
        (MountState::Mounted, _) => "mounted".to_owned(),
        (MountState::Failed, failure) => format!("failed: {}", failure.as_deref().unwrap_or("unknown")),
    };
    vec![
        Cell::text(&mount.path),
        Cell::text(&mount.name),
        if given.is_empty() { Cell::Nothing } else { Cell::text(given.join(",")) },
        Cell::Number(mount.open_files),
        Cell::text(state),
    ]
}
