//! `cowctl rewind`: gives a dataset a snapshot's content again.

use cow_api::v1::{Rewind, Rewound, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{Session, require_snapshot};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "rewind",
    about: "Set a dataset to a snapshot's content",
    operands: "DATASET[@SNAPSHOT]",
    count: 1..=1,
    flags: &[Flag {
        short: None,
        long: "to",
        value: Some("OTHER@SNAPSHOT"),
        about: "Take this snapshot, one of the dataset's origin",
    }],
    more: "What the dataset has now is saved as an automatic snapshot first, so a rewind can itself be undone.\n\
           Newer snapshots stay.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let operand = &given.operands[0];
    let (name, to) = match (given.value("to"), operand.contains('@')) {
        (None, _) => (require_snapshot(&COMMAND, operand)?.0, operand.as_str()),
        (Some(to), false) => {
            require_snapshot(&COMMAND, to)?;
            (operand.as_str(), to)
        }
        (Some(_), true) => {
            return Err(Failure::usage("rewind: two snapshots are given", "write DATASET --to OTHER@SNAPSHOT"));
        }
    };
    let rewound: Rewound = session.client.post(&path::dataset_verb(name, "rewind"), &Rewind { to: to.to_owned() })?;
    session.output.result("rewound", &rewound, || {
        session.output.line(&format!("Rewound {name} to {to}"))?;
        session.output.line(&format!("What it had is saved: 'cowctl rewind {}' undoes this", rewound.saved.name))
    })
}
