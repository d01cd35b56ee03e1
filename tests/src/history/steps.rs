//! The steps of a history, each compared with the model.

use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{DatasetId, InodeNumber, Timestamp};
use cow_storage::fs::{Caller, Context, FileSystem};
use cow_storage::pool::Listing;

use crate::history::deed::Deed;
use crate::history::run::History;
use crate::history::{Answer, Call, Draw, Made, Verb, VerbAnswer, World};
use crate::model::Model;

/// Files with more are erased in the background.
const ERASED_AT_ONCE_MAX: u64 = 1 << 20;

/// How many of 1000 steps are what, for a while: commits far apart and close together show different mistakes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    ends: u64,
    verbs: u64,
    background: u64,
}

impl Mood {
    pub fn draw(draw: &mut Draw) -> Self {
        Self { ends: *draw.pick(&[10, 25, 50]), verbs: *draw.pick(&[2, 15, 70]), background: *draw.pick(&[2, 20, 80]) }
    }
}

/// The largest commit of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commits {
    None,
    /// Of what the step was about.
    Some,
    /// Of everything.
    Whole,
}

impl History {
    pub fn take_step(&mut self) {
        if !self.draw.one_in(4) {
            self.now.seconds += self.draw.below(3) as i64;
            self.now.nanoseconds = self.draw.below(1_000_000_000) as u32;
        }
        if self.armed.is_some_and(|until| self.step > until) {
            return self.lose_power();
        }
        if self.draw.one_in(100) {
            self.mood = Mood::draw(&mut self.draw);
        }
        let Mood { ends, verbs, background } = self.mood;
        match self.draw.below(1000) {
            at if at < ends => self.end_step(),
            at if at < ends + verbs => self.verb_step(),
            at if at < ends + verbs + background => self.background_step(),
            at if at >= 985 => self.snapshot_call(),
            _ => self.head_call(),
        }
    }

    /// An end of the process or of the power, or the beginning of one.
    fn end_step(&mut self) {
        match self.draw.below(6) {
            _ if self.armed.is_some() => self.head_call(),
            0 => self.lose_power(),
            1 => self.kill(),
            2 => self.reopen_cleanly(),
            _ => self.arm(),
        }
    }

    /// A call of a snapshot's file system, which takes no changes.
    fn snapshot_call(&mut self) {
        let ids: Vec<_> = self.world.live_snapshots().map(|(id, _)| id).collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.draw.pick(&ids);
        let (name, model) = (self.world.full_name(id), Arc::clone(&self.world.snapshots[&id].files));
        let (call, who) = (self.draw.call(&model), self.draw.context(self.now));
        if matches!(call, Call::Retain(_) | Call::Release(_)) || self.is_unknowable(&call, &model) {
            return;
        }
        self.tell(format!("{name} {call:?} {who:?}"));
        let files = self.pool.file_system(&name).unwrap_or_else(|error| panic!("open {name}: {error:?}"));
        let got = call.answer(&*files, &who);
        // Even a call that is refused may first make room.
        if let Err(error) = &got
            && self.is_failure(error)
        {
            return self.fail(error.kind(), Deed::Background);
        }
        if !self.is_without_room(&got) {
            compare(got, call.make(&*model, &who));
        }
        self.note_nothing();
    }

    /// A call of a head's file system.
    fn head_call(&mut self) {
        let ids: Vec<_> = self.world.live_datasets().map(|(id, _)| id).collect();
        if ids.is_empty() {
            return self.verb_step();
        }
        // Often the same one, so that calls have to do with one another.
        let stays = ids.contains(&self.busy) && self.draw.one_in(2);
        let id = if stays { self.busy } else { *self.draw.pick(&ids) };
        self.busy = id;
        if self.world.datasets[&id].properties.quota.is_some() && self.unreaped.contains(&id) {
            return self.reap();
        }
        let model = Arc::clone(&self.world.datasets[&id].files);
        let (mut call, who) = (self.draw.call(&model), self.draw.context(self.now));
        if self.is_unknowable(&call, &model) {
            call = Call::Attributes(call.inodes()[0]);
        }
        if self.draw.one_in(30) && !self.orphans.is_empty() {
            call = self.ghost_call();
        }
        self.tell(format!("{} {} {call:?}", self.world.datasets[&id].name, brief(&who)));
        self.make(id, &call, &who);
    }

    fn make(&mut self, id: DatasetId, call: &Call, who: &Context) {
        let before = self.world.clone();
        let files = self.handle(id);
        let got = call.answer(&*files, who);
        if let Err(error) = &got
            && self.is_failure(error)
        {
            return self.fail(error.kind(), Deed::Call(id, call.clone(), who.clone()));
        }
        if self.is_without_room(&got) {
            return self.note_nothing();
        }
        let count = self.heed(id, call, who, got);
        self.note_purged();
        // What makes room for a write, in memory, in the log or among numbers, commits before it; a sync commits what it found.
        let written: Vec<_> = self.journal.unsynced.iter().copied().filter(|file| call.writes(id, *file)).collect();
        match self.count_commits() {
            Commits::None => return,
            Commits::Some if call.is_made_durable_by_commit() => {
                self.journal.committed_some(self.world.clone(), &[id], 0);
                return;
            }
            Commits::Some => self.journal.committed_some(before, &[id], count),
            Commits::Whole => self.journal.committed(before, count),
        }
        self.journal.unsynced.extend(written);
    }

    /// Compares a call's answer with the model's, and notes what the call did. Returns how many events it logged.
    pub fn heed(&mut self, id: DatasetId, call: &Call, who: &Context, got: Result<Answer>) -> usize {
        let before = self.world.clone();
        let model = before.datasets[&id].files.copy();
        if let (Ok(Answer::Created(created)), Call::Create(place, ..)) = (&got, call)
            && before.datasets[&id].files.lookup(&superuser(), place.0, &place.1).is_err()
        {
            self.note_number(id, created.object.inode, &model);
        }
        let next_inode = model.next_inode();
        let expected = call.make(&model, who);
        self.world.set_files(id, model);
        let made = Made { id, call, who, next_inode, answer: &expected };
        let (events, durable) = made.logged(&before, &self.journal);
        let unsynced = made.unsynced(&before);
        self.note_orphans(id, call, &before.datasets[&id].files, expected.is_ok());
        compare(got, expected.clone());
        let count = events.len();
        self.journal.log(id, events, durable);
        unsynced.into_iter().for_each(|file| self.journal.note_unsynced(file));
        count
    }

    /// New inodes get numbers that their dataset never gave.
    fn note_number(&mut self, id: DatasetId, inode: InodeNumber, model: &Model) {
        let given = self.given.entry(id).or_insert(1);
        assert!(inode.0 > *given, "inode number {} was given before, up to {given}", inode.0);
        assert!(inode.0 >= model.next_inode(), "inode number {} goes back behind {}", inode.0, model.next_inode());
        *given = inode.0;
        model.set_next_inode(inode.0);
    }

    /// The head's handle, often the one that is in use.
    pub fn handle(&mut self, id: DatasetId) -> Arc<dyn FileSystem> {
        if self.draw.one_in(20) {
            self.handles.remove(&id);
        }
        let name = &self.world.datasets[&id].name;
        let open = || self.pool.file_system(name).unwrap_or_else(|error| panic!("open {name}: {error:?}"));
        Arc::clone(self.handles.entry(id).or_insert_with(open))
    }

    /// A call of an inode that may be gone, though it may not be erased yet.
    fn ghost_call(&mut self) -> Call {
        let ghosts: Vec<InodeNumber> = self.orphans.iter().copied().collect();
        let ghost = *self.draw.pick(&ghosts);
        if self.draw.one_in(2) { Call::Attributes(ghost) } else { Call::Retain(ghost) }
    }

    /// Whether the answer depends on how far the background has come with inodes that lost their last name.
    pub fn is_unknowable(&self, call: &Call, model: &Model) -> bool {
        let is_gone = |inode: &InodeNumber| self.orphans.contains(inode) && model.attributes(*inode).is_err();
        let is_nameless = |inode| model.attributes(inode).is_ok_and(|found| found.links == 0);
        match call {
            Call::Attributes(_) | Call::Retain(_) | Call::Release(_) => false,
            Call::Lookup(place) if place.1 == b".." && is_nameless(place.0) => true,
            Call::Rename(_, to) if is_nameless(to.0) => true,
            _ => call.inodes().iter().any(is_gone),
        }
    }

    /// Notes inodes that lose their last name now and stay for a while.
    fn note_orphans(&mut self, id: DatasetId, call: &Call, before: &Model, done: bool) {
        let place = match call {
            _ if !done => return,
            Call::Release(_) => return self.unreaped.extend([id]),
            Call::Remove(place) | Call::RemoveDirectory(place) | Call::Rename(_, place) => place,
            _ => return,
        };
        let Ok(victim) = before.lookup(&superuser(), place.0, &place.1) else { return };
        if before.retains(victim.inode) > 0 || victim.allocated > ERASED_AT_ONCE_MAX {
            self.orphans.insert(victim.inode);
            self.unreaped.insert(id);
        }
    }

    pub fn verb_step(&mut self) {
        let verb = self.draw.verb(&self.world, self.now);
        self.tell(format!("{verb:?}"));
        let got = verb.run(&self.pool, self.now);
        if self.is_without_room(&got) {
            return self.note_nothing();
        }
        if let Err(error) = &got
            && self.is_failure(error)
        {
            let (mut after, heads) = (self.world.clone(), verb.heads(&self.world));
            let _ = after.act(&verb, self.now, &Listing::default());
            return self.fail(error.kind(), Deed::Verb(after, heads));
        }
        let commits = self.count_commits();
        self.heed_verb(&verb, got, commits);
    }

    /// Compares a verb's answer with the model's, and notes what the verb did.
    pub fn heed_verb(&mut self, verb: &Verb, got: Result<VerbAnswer>, commits: Commits) {
        let heads = verb.heads(&self.world);
        let mut told = Listing::default();
        match &got {
            Ok(VerbAnswer::Dataset(info)) => told.datasets.push(info.clone()),
            Ok(VerbAnswer::Snapshots(infos)) => told.snapshots.extend(infos.clone()),
            _ => {}
        }
        let expected = self.world.act(verb, self.now, &told);
        compare(got, expected);
        self.note_purged();
        self.note_verb(verb);
        for info in told.snapshots {
            self.world.snapshots.get_mut(&info.id).expect("the answers agree").told.get_or_insert(info);
        }
        // A verb that did nothing may have found nothing to commit.
        match commits {
            Commits::None => {}
            Commits::Some => self.journal.committed_some(self.world.clone(), &heads, 0),
            Commits::Whole => self.journal.committed(self.world.clone(), 0),
        }
    }

    /// What a verb ended for handles and orphans.
    fn note_verb(&mut self, verb: &Verb) {
        if matches!(verb, Verb::Clone { .. } | Verb::Rewind { .. } | Verb::Undelete { .. } | Verb::Set { .. }) {
            self.unreaped.extend(self.world.live_datasets().map(|(id, _)| id));
        }
        let is_live = |id: &DatasetId, world: &World| world.live_datasets().any(|(live, _)| live == *id);
        let gone: Vec<_> = self.handles.keys().copied().filter(|id| !is_live(id, &self.world)).collect();
        for id in gone {
            let files = self.handles.remove(&id).expect("it was among the keys");
            let stale = files.attributes(InodeNumber::ROOT).map_err(|error| error.kind());
            assert_eq!(stale, Err(ErrorKind::Stale), "a destroyed dataset's handle still works");
        }
    }

    /// Whether something was refused because the disk is full, which leaves everything as it was.
    pub fn is_without_room<T>(&self, got: &Result<T>) -> bool {
        self.cramped && got.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
    }

    /// The step changed nothing, but there may have been a commit, which may have given up what could be undeleted.
    pub fn note_nothing(&mut self) {
        self.note_purged();
        if self.count_commits() == Commits::Whole {
            self.journal.committed(self.world.clone(), 0);
        }
    }

    /// A full pool ends the wait of what is destroyed by itself, longest destroyed first.
    pub fn note_purged(&mut self) {
        if self.cramped {
            let destroyed = self.pool.destroyed().unwrap_or_else(|error| panic!("list what is destroyed: {error:?}"));
            self.world.purge_as_in(&destroyed);
        }
    }

    /// What commits were made since it was last asked.
    pub fn count_commits(&mut self) -> Commits {
        let counters = self.pool.counters();
        let before = std::mem::replace(&mut self.commits, (counters.commits, counters.whole_commits));
        match self.commits {
            (_, whole) if whole > before.1 => Commits::Whole,
            (all, _) if all > before.0 => Commits::Some,
            _ => Commits::None,
        }
    }
}

pub(super) fn superuser() -> Context {
    Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None }
}

fn compare<T: PartialEq + std::fmt::Debug>(got: Result<T, Error>, expected: Result<T, ErrorKind>) {
    let same = match (&got, &expected) {
        (Ok(got), Ok(expected)) => got == expected,
        (Err(got), Err(expected)) => got.kind() == *expected,
        _ => false,
    };
    assert!(same, "the answer is {}\nexpected {}", short(&got), short(&expected));
}

fn short(answer: &impl std::fmt::Debug) -> String {
    let text = format!("{answer:?}");
    text.chars().take(2000).collect()
}

fn brief(who: &Context) -> String {
    let user = match &who.caller {
        Caller::Superuser => "superuser".to_owned(),
        Caller::User(user) => format!("user {}", user.uid),
    };
    format!("{user}{}", if who.durable { " durably" } else { "" })
}
