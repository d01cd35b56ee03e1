//! What the threads do.

use std::ops::Range;

use crate::catalog::PropertyChange;
use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::format::Timestamp;
use crate::fs::Stability;
use crate::media::Choices;
use crate::pool::tests::threads::orders::tell;
use crate::pool::tests::threads::pools::left::read_file;
use crate::pool::tests::threads::pools::{
    BLOCK_LEN, BLOCKS, FILES, Model, NOW, Thing, World, bytes_of, context, create, inode, read, read_all,
};
use crate::pool::tests::threads::registers::{Time, Value};
use crate::scrub::Damage;

/// Something that a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Write,
    WriteStable,
    Punch,
    Sync,
    Read,
    Snapshot,
    ReadThing,
    Clone,
    Rewind,
    Destroy,
    MakeFile,
    RemoveFile,
    Commit,
    Reclaim,
    Clean,
    Scrub,
    Verify,
    Ask,
    Forget,
}

const ALL: [Act; 19] = [
    Act::Write,
    Act::WriteStable,
    Act::Punch,
    Act::Sync,
    Act::Read,
    Act::Snapshot,
    Act::ReadThing,
    Act::Clone,
    Act::Rewind,
    Act::Destroy,
    Act::MakeFile,
    Act::RemoveFile,
    Act::Commit,
    Act::Reclaim,
    Act::Clean,
    Act::Scrub,
    Act::Verify,
    Act::Ask,
    Act::Forget,
];

/// Some acts, for a history that does only these: it does them the more often.
pub fn some(choices: &mut Choices) -> Vec<Act> {
    let mut acts: Vec<Act> = (0..2 + choices.below(8)).map(|_| ALL[choices.below(ALL.len() as u64) as usize]).collect();
    acts.extend([Act::Write, Act::Read]);
    acts
}

/// How a call ended.
enum End<T> {
    Done(T),
    /// It did nothing.
    Refused,
    /// The disk failed: it may have done all, or nothing, or may yet.
    Unknown,
}

impl World {
    pub fn act(&self, acts: &[Act], thread: usize, step: usize, choices: &mut Choices) {
        let name = format!("n{thread}-{step}");
        let act = acts[choices.below(acts.len() as u64) as usize];
        tell(|| format!("{name} {act:?} begins"));
        match act {
            Act::Write => self.write(thread, step, choices, Stability::Unstable),
            Act::WriteStable => self.write(thread, step, choices, Stability::File),
            Act::Punch => self.punch(choices),
            Act::Sync => self.sync(choices),
            Act::Read => self.read(choices),
            Act::Snapshot => self.snapshot(&name),
            Act::ReadThing => self.read_thing(choices),
            Act::Clone => self.clone_one(&name, choices),
            Act::Rewind => self.rewind(choices),
            Act::Destroy => self.destroy(choices),
            Act::MakeFile => self.make_file(&name, choices),
            Act::RemoveFile => self.remove_file(choices),
            Act::Commit => self.commit(),
            other => self.upkeep(other, choices),
        }
        tell(|| format!("{name} {act:?} ends"));
    }

    /// Everything but what only a disk that fails may cause, or what another does at the same time.
    fn judge<T>(&self, result: Result<T>, refusals: &[ErrorKind]) -> End<T> {
        let error: Error = match result {
            Ok(done) => return End::Done(done),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Io | ErrorKind::Poisoned if self.may_fail => End::Unknown,
            kind if refusals.contains(&kind) => End::Refused,
            _ => panic!("{error:?}"),
        }
    }

    fn judge_step(&self, damage: Result<Vec<Damage>>) {
        if let End::Done(damage) = self.judge(damage, &[]) {
            assert_eq!(damage, []);
        }
    }

    fn settle(&self, call: u64, end: &End<impl Sized>, is_durable: bool) {
        let mut model = self.model.lock();
        match end {
            End::Done(_) => model.head.end(call, is_durable),
            End::Refused => model.head.refuse(call),
            End::Unknown => {}
        }
    }

    fn write(&self, thread: usize, step: usize, choices: &mut Choices, stability: Stability) {
        let (file, first, count) = range(choices);
        let value = (thread as Value + 1) << 32 | step as Value;
        let (values, at) = (vec![value; count], file * BLOCKS + first);
        let call = self.model.lock().head.begin(at, &values);
        let offset = (first * BLOCK_LEN) as u64;
        let written = self.head().write(&context(false), inode(file), offset, &bytes_of(&values), stability);
        let end = self.judge(written, &[ErrorKind::Busy]);
        self.settle(call, &end, stability != Stability::Unstable);
    }

    fn punch(&self, choices: &mut Choices) {
        let (file, first, count) = range(choices);
        let durable = choices.below(2) == 0;
        let call = self.model.lock().head.begin(file * BLOCKS + first, &vec![0; count]);
        let (offset, length) = ((first * BLOCK_LEN) as u64, (count * BLOCK_LEN) as u64);
        let punched = self.head().punch(&context(durable), inode(file), offset, length);
        let end = self.judge(punched, &[ErrorKind::Busy]);
        self.settle(call, &end, durable);
    }

    fn sync(&self, choices: &mut Choices) {
        let file = choices.below(FILES as u64) as usize;
        let begun = self.model.lock().head.now();
        if let End::Done(()) = self.judge(self.head().sync(inode(file)), &[ErrorKind::Busy]) {
            self.model.lock().head.harden(file * BLOCKS..(file + 1) * BLOCKS, begun);
        }
    }

    fn read(&self, choices: &mut Choices) {
        let (file, first, count) = range(choices);
        let begun = self.model.lock().head.now();
        let found = read(&*self.head(), file, first, count).unwrap();
        self.model.lock().head.check(file * BLOCKS + first, &found, begun, "a read");
    }

    fn snapshot(&self, name: &str) {
        let begun = self.model.lock().head.now();
        let taken = self.pool.snapshot(&[("d", name)], NOW);
        if let End::Done(_) = self.judge(taken, &[ErrorKind::Busy]) {
            let mut model = self.model.lock();
            model.head.harden(0..FILES * BLOCKS, begun);
            let time = begun..model.head.now();
            model.snapshots.push(Thing::new(format!("d@{name}"), time, None));
        }
    }

    /// A snapshot has the blocks of one instant, always the same; and so has a clone what it was left with.
    fn read_thing(&self, choices: &mut Choices) {
        let of = choices.below(3);
        let Some((at, thing)) = pick(list(&mut self.model.lock(), of), choices) else { return };
        let found = match of {
            2 => read_file(&*self.pool.file_system("e").unwrap(), &thing.name),
            _ => self.try_read(&thing.name),
        };
        self.note_values(of, at, found);
    }

    fn note_values(&self, of: u64, at: usize, found: Option<Vec<Value>>) {
        let mut model = self.model.lock();
        let head = model.head.clone();
        let thing = &mut list(&mut model, of)[at];
        let Some(found) = found else {
            assert!(thing.is_going, "{} is gone", thing.name);
            return;
        };
        match &thing.values {
            Some(values) => assert_eq!(found, *values, "{} has changed", thing.name),
            None => {
                head.check_at_once(0, &found, thing.time.clone(), &thing.name);
                thing.values = Some(found);
            }
        }
    }

    /// All of a snapshot or clone, unless it is gone.
    fn try_read(&self, name: &str) -> Option<Vec<Value>> {
        let files = self.pool.file_system(name).ok()?;
        match read_all(&*files) {
            Err(error) if error.kind() == ErrorKind::Stale => None,
            other => Some(other.unwrap()),
        }
    }

    /// Takes a clone of a snapshot, and changes a block of it.
    fn clone_one(&self, name: &str, choices: &mut Choices) {
        let Some((at, snapshot)) = pick(&mut self.model.lock().snapshots, choices) else { return };
        let cloned = self.pool.clone_snapshot(&snapshot.name, name, &PropertyChange::default(), NOW);
        let End::Done(_) = self.judge(cloned, &[ErrorKind::NotFound, ErrorKind::Busy]) else { return };
        let files = self.pool.file_system(name).unwrap();
        let mut values = read_all(&*files).unwrap();
        self.note_values(0, at, Some(values.clone()));
        values[1] = 0xc10e;
        let offset = BLOCK_LEN as u64;
        let written = files.write(&context(false), inode(0), offset, &bytes_of(&values[1..2]), Stability::File);
        if let End::Done(_) = self.judge(written, &[]) {
            assert_eq!(read_all(&*files).unwrap(), values);
            self.model.lock().clones.push(Thing::new(name.to_owned(), 0..1, Some(values)));
        }
    }

    fn rewind(&self, choices: &mut Choices) {
        let Some((at, snapshot)) = pick(&mut self.model.lock().snapshots, choices) else { return };
        let Some(values) = self.try_read(&snapshot.name) else { return };
        self.note_values(0, at, Some(values.clone()));
        let call = self.model.lock().head.begin(0, &values);
        let rewound = self.pool.rewind("d", &snapshot.name, NOW);
        let end = self.judge(rewound, &[ErrorKind::NotFound, ErrorKind::Busy, ErrorKind::Invalid]);
        self.settle(call, &end, true);
        if let End::Done(taken) = end {
            let mut model = self.model.lock();
            let time = call..model.head.now();
            model.snapshots.push(Thing::new(format!("d@{}", taken.name), time, None));
        }
    }

    fn destroy(&self, choices: &mut Choices) {
        let of = choices.below(2);
        let Some((at, thing)) = pick(list(&mut self.model.lock(), of), choices) else { return };
        list(&mut self.model.lock(), of)[at].is_going = true;
        let destroyed = self.pool.destroy(&thing.name, false, NOW);
        if let End::Done(()) = self.judge(destroyed, &[ErrorKind::NotFound, ErrorKind::Busy, ErrorKind::Stale]) {
            list(&mut self.model.lock(), of)[at].is_gone = true;
            let before = Timestamp { seconds: NOW.seconds + 1, nanoseconds: 0 };
            self.judge(self.pool.purge(before, NOW), &[ErrorKind::Busy]);
        }
    }

    /// A file of its own in another dataset, that has what one of the files of all may have: so blocks occur twice.
    fn make_file(&self, name: &str, choices: &mut Choices) {
        let files = self.pool.file_system("e").unwrap();
        let End::Done(made) = self.judge(create(&*files, name, choices.below(2) == 0), &[]) else { return };
        let values: Vec<Value> = (1..=BLOCKS as Value).collect();
        let written = files.write(&context(false), made, 0, &bytes_of(&values), Stability::Unstable);
        let End::Done(_) = self.judge(written, &[]) else { return };
        if let End::Done(()) = self.judge(files.sync(made), &[]) {
            self.model.lock().files.push(Thing::new(name.to_owned(), 0..1, Some(values)));
        }
    }

    fn remove_file(&self, choices: &mut Choices) {
        let Some((at, thing)) = pick(&mut self.model.lock().files, choices) else { return };
        self.model.lock().files[at].is_going = true;
        let files = self.pool.file_system("e").unwrap();
        let removed = files.remove(&context(true), InodeNumber::ROOT, thing.name.as_bytes());
        if let End::Done(_) = self.judge(removed, &[ErrorKind::NotFound]) {
            self.model.lock().files[at].is_gone = true;
        }
    }

    fn commit(&self) {
        let begun = self.model.lock().head.now();
        if let End::Done(()) = self.judge(self.pool.commit(NOW), &[]) {
            self.model.lock().head.harden(0..FILES * BLOCKS, begun);
        }
    }

    /// What the background does, and those who look.
    fn upkeep(&self, act: Act, choices: &mut Choices) {
        let pool = &self.pool;
        match act {
            Act::Reclaim => self.judge_step(pool.reclaim_step(1 + choices.below(50), NOW).map(|step| step.damage)),
            Act::Clean => self.judge_step(pool.clean_step(1 << 20, NOW).map(|step| step.damage)),
            Act::Scrub => self.judge_step(pool.scrub_step(64 << 10, NOW).map(|step| step.damage)),
            Act::Verify => self.judge_step(pool.verify(None, &mut |_, _| true).map(|report| report.damage)),
            Act::Ask => {
                self.judge(pool.space(), &[]);
                self.judge(pool.would_free("d"), &[]);
                self.judge(pool.dataset_space("d"), &[]);
                assert!(pool.counters().commits > 0 && pool.core.dirty() < 1 << 40, "less than nothing is dirty");
            }
            _ => {
                pool.shrink_caches(1 + choices.below(4));
                pool.core.store.clear_caches();
            }
        }
    }
}

impl Thing {
    fn new(name: String, time: Range<Time>, values: Option<Vec<Value>>) -> Self {
        Self { name, time, values, is_going: false, is_gone: false }
    }
}

fn list(model: &mut Model, of: u64) -> &mut Vec<Thing> {
    match of {
        0 => &mut model.snapshots,
        1 => &mut model.clones,
        _ => &mut model.files,
    }
}

/// One of those that nobody is about to destroy.
fn pick(things: &mut [Thing], choices: &mut Choices) -> Option<(usize, Thing)> {
    let there: Vec<usize> = (0..things.len()).filter(|at| !things[*at].is_going).collect();
    let at = *there.get(choices.below(there.len() as u64) as usize)?;
    Some((at, things[at].clone()))
}

/// Some blocks of a file.
fn range(choices: &mut Choices) -> (usize, usize, usize) {
    let (file, first) = (choices.below(FILES as u64) as usize, choices.below(BLOCKS as u64) as usize);
    (file, first, 1 + choices.below((BLOCKS - first) as u64) as usize)
}
