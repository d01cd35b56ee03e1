//! `cowctl bookmark`: names for snapshots of dSources and VDBs.

use cow_api::v1::{Bookmark, Bookmarks, NewBookmark, path};

use crate::arguments::{Command, Given};
use crate::commands::virtualization::{misused, table};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::Cell;

pub const COMMAND: Command = Command {
    name: "bookmark",
    about: "Name snapshots of dSources and VDBs, and keep them",
    operands: "list | add NAME SNAPSHOT | remove NAME",
    count: 1..=3,
    flags: &[NO_HEADER, PARSABLE],
    more: "A bookmark stands wherever a snapshot can be named, alone or as SOURCE@NAME. As long as it is there, no policy\n\
           removes its snapshot, and nobody can destroy it: it is held by the tag bookmark:NAME.\n\
           As in: cowctl bookmark add before-release sales@2026-11-26T10:16:21Z",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(session, given),
        ["add", name, snapshot] => {
            let new = NewBookmark { name: name.to_owned(), snapshot: snapshot.to_owned() };
            let bookmark: Bookmark = session.client.post(path::BOOKMARKS, &new)?;
            let told = || session.output.line(&format!("Bookmarked {} as {name}", bookmark.snapshot));
            session.output.result("bookmark", &bookmark, told)
        }
        ["remove", name] => {
            let bookmark: Bookmark = session.client.delete(&path::bookmark(name))?;
            let told = || session.output.line(&format!("Removed bookmark {name} of {}", bookmark.snapshot));
            session.output.result("bookmark", &bookmark, told)
        }
        _ => Err(misused(&COMMAND)),
    }
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let bookmarks: Bookmarks = session.client.get(path::BOOKMARKS)?;
    session.output.result("bookmarks", &bookmarks, || {
        let rows = bookmarks.bookmarks.iter().map(|bookmark| {
            let [name, source, snapshot] = [&bookmark.name, &bookmark.source, &bookmark.snapshot].map(Cell::text);
            vec![name, source, snapshot, Cell::Moment(bookmark.created)]
        });
        table(session, given, &["name", "source", "snapshot", "created"], rows.collect())
    })
}
