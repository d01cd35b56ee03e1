//! Where the two servers differ, and why ours does what it does.

use crate::seen::{Came, Fact, Shown};
use crate::step::{Act, Step};

const DIRECTORY: u32 = 2;
const SYMLINK: u32 = 5;

const PERMISSION: u32 = 1;
const NO_ENTRY: u32 = 2;
const NO_DEVICE: u32 = 6;
const ACCESS: u32 = 13;
const EXISTS: u32 = 17;
const NOT_DIRECTORY: u32 = 20;
const IS_DIRECTORY: u32 = 21;
const INVALID: u32 = 22;
const NAME_TOO_LONG: u32 = 63;
const NOT_EMPTY: u32 = 66;
const STALE: u32 = 70;
const SERVER_FAULT: u32 = 10_006;
const BAD_TYPE: u32 = 10_007;

/// Whether a difference is one of those that are documented.
pub fn may_differ(step: &Step, ours: &Came, theirs: &Came) -> bool {
    match (ours, theirs) {
        (Came::Failed(ours), Came::Failed(theirs)) => is_another_reason(&step.act, *ours, *theirs),
        // Ours gives a handle of whatever is there but a directory, as Linux's server; the reference opens it, with the
        // permission that takes.
        (Came::Told(_), Came::Failed(BAD_TYPE | ACCESS | NO_ENTRY | NO_DEVICE)) => {
            matches!(step.act, Act::Create(0, ..))
        }
        // The reference fails when it has but little room for a directory's names.
        (Came::Told(_), Came::Failed(SERVER_FAULT)) => matches!(step.act, Act::List(..)),
        (Came::Told(ours), Came::Told(theirs)) => match (&step.act, &ours[..], &theirs[..]) {
            (Act::Set(set), [Fact::Attributes(Some(ours))], [Fact::Attributes(Some(theirs))]) => {
                let gives_away = set.uid.is_some() || set.gid.is_some();
                (gives_away && keeps_bits_of_directory(ours, theirs))
                    || (set.size.is_some() && takes_bits_of_file(ours, theirs))
                    || changes_link(ours, theirs)
            }
            (Act::List(true, _), [Fact::Names(ours)], [Fact::Names(theirs)]) => withholds_dots(ours, theirs),
            _ => false,
        },
        // The reference keeps the verifier in times, and so only until the first change; ours for good.
        (Came::Told(_), Came::Failed(EXISTS)) | (Came::Failed(EXISTS), Came::Told(_)) => {
            matches!(step.act, Act::Exclusive(..))
        }
        _ => false,
    }
}

/// Who may list but not search a directory gets no handles, not even its own and its parent's.
fn withholds_dots(ours: &[(Vec<u8>, Option<usize>)], theirs: &[(Vec<u8>, Option<usize>)]) -> bool {
    let names = |list: &[(Vec<u8>, Option<usize>)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    names(ours) == names(theirs) && ours.iter().all(|(_, file)| file.is_none())
}

/// A directory that gets another owner keeps its set-id bits, as with chown(2), which takes them off files alone.
fn keeps_bits_of_directory(ours: &Shown, theirs: &Shown) -> bool {
    let (kind, mode, links) = ours.kind;
    kind == DIRECTORY && theirs == &Shown { kind: (kind, mode & 0o1777, links), ..ours.clone() }
}

/// A file that somebody without privileges cuts loses its set-id bits, as with truncate(2).
fn takes_bits_of_file(ours: &Shown, theirs: &Shown) -> bool {
    let (kind, mode, links) = theirs.kind;
    ours == &Shown { kind: (kind, mode & 0o1777, links), ..theirs.clone() }
}

/// A symbolic link's times can be set, as with utimensat(2); its mode stays, and ours notes that it was asked for.
fn changes_link(ours: &Shown, theirs: &Shown) -> bool {
    ours.kind.0 == SYMLINK
        && ours == &Shown { modified_moved: ours.modified_moved, changed_moved: true, ..theirs.clone() }
}

/// Whether both refuse, each for a reason that holds: which of several is told is a matter of order, and ours is that of
/// Linux's own calls.
fn is_another_reason(act: &Act, ours: u32, theirs: u32) -> bool {
    match act {
        // Whether the name is free comes before what is to be linked; a directory's second name is not permitted (EPERM).
        Act::Link(..) => {
            matches!(
                (ours, theirs),
                (EXISTS | ACCESS | PERMISSION | NAME_TOO_LONG, BAD_TYPE) | (EXISTS | NAME_TOO_LONG, ACCESS)
            )
        }
        // Who may not change a directory learns nothing of what is in it; a dot is a directory and not empty for everybody.
        Act::Remove(_) => matches!((ours, theirs), (ACCESS | PERMISSION, IS_DIRECTORY) | (IS_DIRECTORY, ACCESS)),
        Act::RemoveDirectory(_) => {
            matches!((ours, theirs), (INVALID | NOT_EMPTY, ACCESS | NOT_EMPTY) | (PERMISSION | ACCESS, NOT_DIRECTORY))
        }
        // Names are looked at only once both directories may be searched, and what they name only if it can be replaced.
        Act::Rename(..) => {
            matches!(
                (ours, theirs),
                (ACCESS, _) | (NAME_TOO_LONG, INVALID | NO_ENTRY) | (NOT_DIRECTORY, STALE) | (IS_DIRECTORY, NOT_EMPTY)
            )
        }
        // The name is taken, or may not be made, whatever has it.
        Act::Create(..) | Act::Exclusive(..) => {
            matches!((ours, theirs), (EXISTS | ACCESS, IS_DIRECTORY) | (EXISTS, ACCESS))
        }
        // No data is in what is no file, whoever asks.
        Act::Read(..) | Act::Write(..) => matches!((ours, theirs), (IS_DIRECTORY | INVALID, ACCESS)),
        Act::Commit => matches!((ours, theirs), (INVALID, SERVER_FAULT | NO_DEVICE)),
        Act::Set(_) => matches!((ours, theirs), (IS_DIRECTORY | INVALID, BAD_TYPE)),
        _ => false,
    }
}
