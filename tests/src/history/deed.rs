//! What a step was doing when it failed, and what that may have come to.

use cow_storage::format::DatasetId;
use cow_storage::fs::Context;

use crate::history::journal::Base;
use crate::history::tree::Body;
use crate::history::{Call, Finds, InFlight, Journal, Made, World};

/// What a step was doing when it failed.
pub(super) enum Deed {
    /// Something that changes nothing that can be seen.
    Background,
    /// A verb about some heads, after which the world is this.
    Verb(World, Vec<DatasetId>),
    Call(DatasetId, Call, Context),
    /// A commit that was cut when the world was this, after so many events.
    Commit(World, usize),
}

impl Deed {
    /// What it would have done to the world that it was done to. A pool that made a new inode tells its number.
    pub fn done(self, before: &World, journal: &Journal, finds: &Finds) -> InFlight {
        let count = journal.event_count();
        let whole = Base::whole(before.clone(), count);
        let (id, call, who) = match self {
            Self::Background => return InFlight { bases: vec![whole], events: Vec::new() },
            Self::Verb(after, heads) => {
                let bases = vec![journal.base.with(after.clone(), &heads, count), whole, Base::whole(after, count)];
                return InFlight { bases, events: Vec::new() };
            }
            Self::Commit(cut, events) => {
                return InFlight { bases: vec![journal.cut_base(&cut, events)], events: Vec::new() };
            }
            Self::Call(id, call, who) => (id, call, who),
        };
        let model = before.datasets[&id].files.copy();
        if let (Call::Create(place, ..), Some(tree)) = (&call, finds.trees.get(&id))
            && let Some(Body::Directory(entries)) = tree.objects.get(&place.0).map(|directory| &directory.body)
            && let Some((_, made, _)) = entries.iter().find(|(name, ..)| *name == place.1)
        {
            model.set_next_inode(made.0.max(model.next_inode()));
        }
        let (next_inode, mut after) = (model.next_inode(), before.clone());
        let answer = call.make(&model, &who);
        after.set_files(id, model);
        let made = Made { id, call: &call, who: &who, next_inode, answer: &answer };
        let (events, _) = made.logged(before, journal);
        let some =
            [journal.base.with(before.clone(), &[id], count), journal.base.with(after, &[id], count + events.len())];
        InFlight { bases: some.into_iter().chain([whole]).collect(), events }
    }
}
