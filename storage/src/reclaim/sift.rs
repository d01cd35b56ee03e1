//! Sifts hidden snapshots: finds what all their children have lost, and has it taken out of the children's lists.
//!
//! Invariant: what is remembered here between steps is a copy of what is stored, or a proposal. The catalog takes a proposal
//! only as long as the children are the same, and what is taken out of a list was in it: so nothing depends on this
//! memory but time.
//!
//! Lists are in no order, and may be larger than memory. The shortest one is read in pieces that fit; the others are read past
//! each piece, which loses what one of them lacks. What it keeps is stored as a list of its own, taken out of the lists
//! one after the other, and freed as it leaves the last. So a sifting reads all lists once, and all but the shortest once
//! more for each further piece of it; and it writes them as often, where there was something to find.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, List, Sift, Stage, Task, Turn};
use crate::error::{Error, ErrorKind, Result};
use crate::format::SnapshotId;
use crate::reclaim::search::Search;
use crate::reclaim::sieve::{Sieve, pointers};
use crate::reclaim::step::{CHUNKS_TOGETHER, POINTERS_TOGETHER, chunk, end_damage, free_all};
use crate::reclaim::{Free, Sources};
use crate::tree::Dead;

/// Pointers that are looked for at once: 16 MiB of memory, and half as much again for a moment.
const POINTERS_MAX: usize = 1 << 19;

/// What sifting remembers between steps. To be forgotten with the catalog that it was used for.
#[derive(Debug)]
pub struct Sifter {
    pointers_max: usize,
    search: Option<Search>,
    held: Option<Held>,
    /// Whether snapshots are sifted however little there is to gain, and which ones were.
    hurry: Option<BTreeSet<SnapshotId>>,
    damage: Vec<Error>,
    /// The id of the list of what was found, if that cannot be read.
    lost: Option<u64>,
}

/// What was found by the sifting under way.
#[derive(Debug)]
struct Held {
    /// The id of the list that has it.
    found: u64,
    /// What is not stored in that yet.
    unstored: Vec<Dead>,
    sieve: Sieve,
    /// The list in turn, and the end of what was taken out of it so far.
    turn: Option<(u64, u64)>,
}

impl Default for Sifter {
    fn default() -> Self {
        Self::new(POINTERS_MAX)
    }
}

/// What is to be read before the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim(Reading);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    /// The lists of children.
    Search,
    /// What was found by a sifting that another process began.
    Load(Sift),
}

impl Sifter {
    /// Remembers nothing yet. `pointers_max` bounds its memory.
    pub fn new(pointers_max: usize) -> Self {
        Self { pointers_max, search: None, held: None, hurry: None, damage: Vec::new(), lost: None }
    }

    /// Has all snapshots sifted that may be, each once, however little there is to gain.
    pub fn hurry(&mut self) {
        self.hurry = Some(BTreeSet::new());
        // What was read before may be too little.
        self.search = None;
    }

    /// Takes [`Self::hurry`] back.
    pub fn calm(&mut self) {
        self.hurry = None;
    }

    /// Whether nothing is to be sifted, or being sifted.
    pub fn is_idle(&self, catalog: &Catalog) -> bool {
        self.next_fork(catalog).is_none() && !matches!(catalog.begun_job(), Ok(Some((_, Task::Sift(_)))))
    }

    fn next_fork(&self, catalog: &Catalog) -> Option<SnapshotId> {
        let hurry = self.hurry.as_ref();
        let mut in_hurry = hurry.into_iter().flat_map(|done| catalog.forks().filter(|id| !done.contains(id)));
        // Each once, and none before those below it, which give it more.
        in_hurry.find(|id| !catalog.is_settled(*id)).or_else(|| catalog.next_sift())
    }

    /// Finds out what is to be read before the next commit. The catalog has no edits that were not taken.
    pub fn aim(&mut self, catalog: &Catalog) -> Result<Aim> {
        if let Some((_, task)) = catalog.begun_job()? {
            return Ok(Aim(match task {
                Task::Sift(Turn { sift, .. }) if !self.holds(&sift) => Reading::Load(sift),
                _ => Reading::Nothing,
            }));
        }
        self.held = None;
        if catalog.next_job()?.is_some() {
            return Ok(Aim(Reading::Nothing));
        }
        let Some(fork) = self.next_fork(catalog) else {
            (self.search, self.hurry) = (None, None);
            return Ok(Aim(Reading::Nothing));
        };
        let lists = catalog.lists_below(fork);
        if !self.search.as_ref().is_some_and(|search| search.fork == fork && search.is_of(&lists)) {
            self.search = Search::new(fork, &lists);
        }
        let search = self.search.as_mut();
        search.into_iter().for_each(|search| search.begin_piece(&lists));
        Ok(Aim(Reading::Search))
    }

    /// Whether what the sifting under way has found is in memory, as far as it is needed.
    fn holds(&self, sift: &Sift) -> bool {
        let held = self.held.as_ref().filter(|held| held.found == sift.found.id);
        match sift.stage {
            Stage::Find => held.is_some(),
            Stage::Take { list, .. } => held.is_some_and(|held| held.turn == Some((list, sift.taken.end))),
            Stage::Drop { .. } => true,
        }
    }

    /// Reads about so many pointers of what is stored. Returns how many that were.
    pub fn read(&mut self, aim: Aim, sources: Sources<'_>, budget: u64) -> Result<u64> {
        match aim.0 {
            Reading::Nothing => Ok(0),
            Reading::Load(sift) => match self.load(sources, &sift) {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.damage.push(error);
                    self.lost = Some(sift.found.id);
                    Ok(1)
                }
                done => done,
            },
            Reading::Search => {
                let Some(search) = &mut self.search else { return Ok(0) };
                match search.go_on(sources, budget, self.pointers_max) {
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        // What can be told of the others helps nobody.
                        search.end();
                        self.damage.push(error);
                        Ok(1)
                    }
                    done => done,
                }
            }
        }
    }

    /// Whether what was read has come to something that a commit is needed for.
    pub fn needs_commit(&self, aim: Aim) -> bool {
        let needs = |search: &Search| search.has_found() || search.is_done();
        aim.0 != Reading::Search || self.search.as_ref().is_none_or(needs)
    }

    fn load(&mut self, sources: Sources<'_>, sift: &Sift) -> Result<u64> {
        let mut wanted = Vec::new();
        for_each_entry(sources, sift.found, &mut |entry| wanted.extend(pointers(entry)))?;
        let done = wanted.len() as u64;
        let mut sieve = Sieve::new(wanted);
        for_each_entry(sources, sift.taken, &mut |entry| sieve.see(entry, &mut |_, _| {}))?;
        let turn = if let Stage::Take { list, .. } = sift.stage { Some((list, sift.taken.end)) } else { None };
        self.held = Some(Held { found: sift.found.id, unstored: Vec::new(), sieve, turn });
        Ok(1 + done)
    }

    /// Goes on with the sifting under way, or begins one if what was read is worth it, inside a commit. Returns about how many
    /// pointers were looked at.
    pub fn step(
        &mut self,
        catalog: &mut Catalog,
        sources: Sources<'_>,
        budget: u64,
        free: &mut Free<'_>,
    ) -> Result<u64> {
        match catalog.next_job()? {
            Some(Task::Sift(turn)) if self.lost == Some(turn.sift.found.id) => self.give_up(catalog, None),
            Some(Task::Sift(turn)) => match turn.sift.stage {
                _ if !self.holds(&turn.sift) => Ok(0),
                Stage::Find => self.store(catalog, sources, budget),
                Stage::Take { until, .. } => self.take(catalog, sources, budget, &turn, until, free),
                Stage::Drop { .. } => self.drop_taken(catalog, sources, budget, &turn),
            },
            Some(_) => Ok(0),
            None => self.end_piece(catalog, sources, budget),
        }
    }

    /// What was damaged since this was asked last.
    pub fn take_damage(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.damage)
    }

    /// Ends the sifting under way, or the search that was to begin one, because of damage.
    fn give_up(&mut self, catalog: &mut Catalog, damage: Option<Error>) -> Result<u64> {
        self.damage.extend(damage);
        if let Some(search) = self.search.take() {
            catalog.sifted(search.fork, search.ends);
            self.hurry.iter_mut().for_each(|done| _ = done.insert(search.fork));
        }
        (self.held, self.lost) = (None, None);
        if matches!(catalog.begun_job()?, Some((_, Task::Sift(_)))) {
            catalog.give_up_sift()?;
        }
        Ok(1)
    }

    fn end_piece(&mut self, catalog: &mut Catalog, sources: Sources<'_>, budget: u64) -> Result<u64> {
        let Some(search) = self.search.as_mut().filter(|search| search.is_of(&catalog.lists_below(search.fork))) else {
            self.search = None;
            return Ok(0);
        };
        if let Some(sieve) = search.take_found() {
            let mut unstored = sieve.entries();
            unstored.reverse();
            self.held = Some(Held { found: 0, unstored, sieve, turn: None });
            return self.store(catalog, sources, budget);
        }
        if search.is_done() {
            catalog.sifted(search.fork, search.ends);
            self.hurry.iter_mut().for_each(|done| _ = done.insert(search.fork));
            self.search = None;
            return Ok(1);
        }
        Ok(0)
    }

    /// Stores what was found; when all is, it is the first list's turn.
    fn store(&mut self, catalog: &mut Catalog, sources: Sources<'_>, budget: u64) -> Result<u64> {
        let Some(mut held) = self.held.take() else { return Ok(0) };
        if let Some(damage) = end_damage(sources, catalog.found_list())? {
            return self.give_up(catalog, Some(damage));
        }
        let done = 1 + held.unstored.len().min(budget as usize) as u64;
        if held.unstored.is_empty() {
            catalog.found_all()?;
        } else {
            let Some(search) = &self.search else { return Ok(0) };
            let entries = held.unstored.split_off(held.unstored.len().saturating_sub(budget.max(1) as usize));
            if !catalog.found(search.fork, &search.ids, entries)? {
                self.search = None;
                return Ok(0);
            }
        }
        self.hold(catalog, held)?;
        Ok(done)
    }

    /// Keeps what was found, which is what the catalog has by now.
    fn hold(&mut self, catalog: &Catalog, mut held: Held) -> Result<()> {
        if let Some((_, Task::Sift(Turn { sift, .. }))) = catalog.begun_job()? {
            held.found = sift.found.id;
            held.turn = if let Stage::Take { list, .. } = sift.stage { Some((list, sift.taken.end)) } else { None };
            self.held = Some(held);
        }
        Ok(())
    }

    fn take(
        &mut self,
        catalog: &mut Catalog,
        sources: Sources<'_>,
        budget: u64,
        turn: &Turn,
        until: u64,
        free: &mut Free<'_>,
    ) -> Result<u64> {
        let Some(mut held) = self.held.take() else { return Ok(0) };
        let (list, sieve) = (turn.list, &mut held.sieve);
        let (mut done, mut chunks, mut kept, mut taken) = (1, 0, Vec::new(), Vec::new());
        while list.first + chunks < until && chunks < CHUNKS_TOGETHER && done <= budget && !sieve.is_full() {
            let entries = match chunk(catalog, sources, list, list.first + chunks)? {
                Ok(entries) => entries,
                // First what was read is put away.
                Err(_) if chunks > 0 => break,
                Err(error) => {
                    self.damage.push(error);
                    self.held = Some(held);
                    return catalog.passed_damage().map(|()| done);
                }
            };
            done += entries.len() as u64;
            chunks += 1;
            for entry in &entries {
                sieve.see(entry, &mut |part, is_caught| if is_caught { taken.push(part) } else { kept.push(part) });
            }
        }
        if chunks == 0 && !sieve.is_full() {
            self.damage.push(Error::new(ErrorKind::Corrupt, "a dead list has lost entries while it was sifted"));
        }
        let is_done = sieve.is_full() || chunks == 0;
        if is_done {
            sieve.want_again();
        }
        let shares = turn.is_last && taken.iter().any(|dead| dead.birth <= turn.after);
        let written = [(list, !kept.is_empty()), (turn.sift.taken, !taken.is_empty()), (turn.own, shares)];
        for (list, _) in written.into_iter().filter(|(_, is_written)| *is_written) {
            if let Some(damage) = end_damage(sources, list)? {
                return self.give_up(catalog, Some(damage));
            }
        }
        let own = taken.iter().filter(|dead| turn.is_last && dead.birth > turn.after).copied().collect::<Vec<_>>();
        let appended = catalog.taken(chunks, kept, taken, is_done)?;
        self.search.iter_mut().for_each(|search| search.ends += appended);
        self.hold(catalog, held)?;
        free_all(&own, free)?;
        Ok(done)
    }

    fn drop_taken(&mut self, catalog: &mut Catalog, sources: Sources<'_>, budget: u64, turn: &Turn) -> Result<u64> {
        let Sift { found, taken, .. } = turn.sift;
        let list = if turn.is_last && taken.is_empty() { found } else { taken };
        let most = list.chunks().min(1 + budget / POINTERS_TOGETHER);
        let mut chunks = 0;
        while chunks < most {
            match chunk(catalog, sources, list, list.first + chunks)? {
                Ok(_) => chunks += 1,
                Err(_) if chunks > 0 => break,
                Err(error) => return self.give_up(catalog, Some(error)),
            }
        }
        catalog.dropped(chunks)?;
        if let Some(held) = self.held.take() {
            self.hold(catalog, held)?;
        }
        Ok(1 + chunks)
    }
}

fn for_each_entry(sources: Sources<'_>, list: List, found: &mut dyn FnMut(&Dead)) -> Result<()> {
    for number in list.first..list.end {
        Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, number)?.iter().for_each(&mut *found);
    }
    Ok(())
}
