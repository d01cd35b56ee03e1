//! Bookmarks: names for snapshots, which keep them.
//!
//! Invariant: the snapshot of a bookmark is held in the pool by a tag of its own, whoever would destroy it; what a crash
//! leaves of only one of the two is mended at the next start.

use std::sync::Arc;

use cow_api::v1::{self, Code, NewBookmark, Problem};

use crate::clock;
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{BOOKMARK_TAG, Bookmark, Source};
use crate::virtualization::sources::check_name;

impl Virtualization {
    /// All bookmarks.
    pub fn bookmarks(&self) -> Answer<v1::Bookmarks> {
        let rows = self.state.read(|view| view.all::<Bookmark>())?;
        Ok(v1::Bookmarks { bookmarks: rows.into_iter().map(|row| self.shown_bookmark(row.record)).collect() })
    }

    fn shown_bookmark(&self, bookmark: Bookmark) -> v1::Bookmark {
        let Bookmark { name, source, snapshot, created } = bookmark;
        let source = self.state.read(|view| view.get::<Source>(source));
        v1::Bookmark { name, source: source.map_or_else(|_| String::new(), |row| row.record.name), snapshot, created }
    }

    /// Gives a snapshot a name.
    pub fn add_bookmark(self: &Arc<Self>, new: &NewBookmark) -> Answer<v1::Bookmark> {
        check_name("bookmark", &new.name)?;
        let (source, point) = self.point(&new.snapshot)?;
        let _needed = self.need(&point)?;
        let (name, snapshot) = (new.name.clone(), point.record.name);
        let bookmark = Bookmark { name, source: source.id, snapshot, created: clock::time(clock::now()) };
        self.state.read(|view| match view.find::<Bookmark>(0, &new.name)? {
            Some(_) => Err(Problem::new(Code::Exists, format!("there is a bookmark '{}' already", new.name))),
            None => Ok(()),
        })?;
        self.store.hold(&bookmark.snapshot, &bookmark.tag())?;
        let kept = self.state.write(|edit| {
            if edit.find::<Source>(0, &bookmark.name)?.is_some() {
                let problem = Problem::new(Code::Exists, format!("there is a dSource or VDB '{}'", bookmark.name));
                return Err(problem.with_hint("a bookmark stands where a source can, so it needs another name"));
            }
            edit.insert(&bookmark)
        });
        if let Err(problem) = kept {
            // Whose is the tag, if another one came first with that name? Of one for this snapshot, the next start says.
            let ours = self.state.read(|view| view.find::<Bookmark>(0, &bookmark.name))?;
            if ours.is_none_or(|row| row.record.snapshot != bookmark.snapshot) {
                self.store.release(&bookmark.snapshot, &bookmark.tag())?;
            }
            return Err(problem);
        }
        Ok(self.shown_bookmark(bookmark))
    }

    /// Takes a snapshot's name away; it is kept no longer.
    pub fn remove_bookmark(&self, name: &str) -> Answer<v1::Bookmark> {
        let row = self.state.read(|view| view.named::<Bookmark>(name))?;
        self.store.release(&row.record.snapshot, &row.record.tag())?;
        self.state.write(|edit| edit.remove::<Bookmark>(row.id))?;
        self.mend(&format!("bookmark {name}"))?;
        Ok(self.shown_bookmark(row.record))
    }

    /// Fails while snapshots of a source are kept by bookmarks or other tags: to delete it would destroy them.
    pub(super) fn check_not_held(&self, source: &Source) -> Answer<()> {
        let within = format!("{}/", source.folder());
        let held = self.store.holds()?;
        let Some((snapshot, tag)) = held.iter().find(|(snapshot, _)| snapshot.starts_with(&within)) else {
            return Ok(());
        };
        let (by, hint) = match tag.strip_prefix(BOOKMARK_TAG) {
            Some(name) => (format!("bookmark {name}"), format!("'cowctl bookmark remove {name}' lets it go")),
            None => (format!("the tag {tag}"), format!("'cowctl release {snapshot} {tag}' lets it go")),
        };
        Err(Problem::new(Code::Held, format!("{snapshot} is kept by {by}")).with_hint(hint))
    }

    /// Makes the tags in the pool those of the bookmarks.
    pub(super) fn reconcile_bookmarks(&self) -> Answer<()> {
        let bookmarks = self.state.read(|view| view.all::<Bookmark>())?;
        let held = self.store.holds()?;
        for (snapshot, tag) in held.iter().filter(|(_, tag)| tag.starts_with(BOOKMARK_TAG)) {
            if !bookmarks.iter().any(|row| row.record.tag() == *tag && row.record.snapshot == *snapshot) {
                tracing::warn!(snapshot, tag, "released a snapshot that no bookmark names");
                self.store.release(snapshot, tag)?;
            }
        }
        for Row { record: bookmark, .. } in bookmarks {
            let subject = format!("bookmark {}", bookmark.name);
            match self.store.exists(&bookmark.snapshot)? {
                true => self.store.hold(&bookmark.snapshot, &bookmark.tag()).and_then(|()| self.mend(&subject))?,
                false => {
                    let problem = Problem::new(Code::NotFound, format!("{} is gone", bookmark.snapshot));
                    self.fault(&subject, &problem.with_hint("'cowctl undelete' may bring it back; else remove it"))?;
                }
            }
        }
        Ok(())
    }
}
