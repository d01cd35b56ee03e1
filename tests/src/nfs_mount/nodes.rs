//! Which handle is behind a number that the kernel knows, and which files are open.
//!
//! Invariant: a number stands for one handle as long as the mount lasts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::{Errno, INodeNo};

use crate::nfs_client::{Entry, Handle, User};

/// Numbers for those whose own number somebody else has got: in another file system, such as a snapshot.
const OTHERS: u64 = 1 << 62;

/// A name that a file has only because it is open.
pub type Aside = (Handle, Vec<u8>);

#[derive(Default)]
struct State {
    handles: HashMap<u64, Handle>,
    numbers: HashMap<Handle, u64>,
    openings: HashMap<u64, Opening>,
    open_count: HashMap<u64, usize>,
    aside: HashMap<u64, Aside>,
    next: u64,
}

/// What is behind a descriptor.
#[derive(Clone)]
pub enum Opening {
    /// A file, and who opened it: for that one it is read and written.
    File(User),
    /// A listing, as it was when it was opened.
    Listing(Vec<Entry>),
}

/// All numbers.
pub struct Nodes(Mutex<State>);

impl Nodes {
    /// The root alone.
    pub fn new(root: Handle) -> Self {
        let mut state = State::default();
        state.handles.insert(INodeNo::ROOT.0, root.clone());
        state.numbers.insert(root, INodeNo::ROOT.0);
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle behind a number.
    pub fn handle(&self, number: INodeNo) -> Result<Handle, Errno> {
        self.state().handles.get(&number.0).cloned().ok_or(Errno::ESTALE)
    }

    /// The number of a handle, which is `wanted` if nobody else has that.
    pub fn number(&self, handle: &Handle, wanted: u64) -> INodeNo {
        let mut state = self.state();
        if let Some(number) = state.numbers.get(handle) {
            return INodeNo(*number);
        }
        let number = if wanted <= INodeNo::ROOT.0 || state.handles.contains_key(&wanted) {
            state.next += 1;
            OTHERS + state.next
        } else {
            wanted
        };
        state.handles.insert(number, handle.clone());
        state.numbers.insert(handle.clone(), number);
        INodeNo(number)
    }

    /// Opens, and returns the number of the opening.
    pub fn open(&self, number: INodeNo, opening: Opening) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let descriptor = state.next;
        if let Opening::File(_) = opening {
            *state.open_count.entry(number.0).or_default() += 1;
        }
        state.openings.insert(descriptor, opening);
        descriptor
    }

    /// What is behind an opening.
    pub fn opening(&self, descriptor: u64) -> Option<Opening> {
        self.state().openings.get(&descriptor).cloned()
    }

    /// Hands entries of a listing to `put`, from a place on, until it takes no more.
    pub fn list(&self, descriptor: u64, from: usize, mut put: impl FnMut(usize, &Entry) -> bool) {
        if let Some(Opening::Listing(entries)) = self.state().openings.get(&descriptor) {
            for (place, entry) in entries.iter().enumerate().skip(from) {
                if !put(place, entry) {
                    break;
                }
            }
        }
    }

    /// Ends an opening. Returns the name that is to be removed, if it was the last one and the file has no other.
    pub fn close(&self, number: INodeNo, descriptor: u64) -> Option<Aside> {
        let mut state = self.state();
        if let Some(Opening::File(_)) = state.openings.remove(&descriptor) {
            let count = state.open_count.get_mut(&number.0)?;
            *count -= 1;
            if *count == 0 {
                state.open_count.remove(&number.0);
                return state.aside.remove(&number.0);
            }
        }
        None
    }

    /// Whether a file is open here, and has its own name yet.
    pub fn is_open(&self, handle: &Handle) -> bool {
        let state = self.state();
        let number = state.numbers.get(handle);
        number.is_some_and(|number| state.open_count.contains_key(number) && !state.aside.contains_key(number))
    }

    /// Notes the name that an open file was given instead of its last one.
    pub fn set_aside(&self, handle: &Handle, name: Aside) {
        let mut state = self.state();
        if let Some(number) = state.numbers.get(handle).copied() {
            state.aside.insert(number, name);
        }
    }

    /// A number for a name that nobody has.
    pub fn fresh(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next
    }
}
