//! What a loss of power leaves.

use std::sync::Arc;

use crate::executor::Inline;
use crate::format::InodeNumber;
use crate::fs::FileSystem;
use crate::media::{Choices, Media};
use crate::pool::tests::threads::pools::{Model, NOW, Thing, World, budgets, context, open, read_all, values_of};
use crate::pool::tests::threads::registers::Value;
use crate::pool::{Budgets, Pool};

impl World {
    /// The power goes now, for a copy of the disk: what was promised by then is there, and nothing that was not begun.
    pub fn lose_power(&self, choices: &mut Choices) {
        // First what is promised, then the disk, then what may be there.
        let known = self.model.lock().clone();
        let mut disk = self.disk.crash(&mut |limit| choices.below(limit));
        let later = self.model.lock().clone();
        if choices.below(3) == 0 {
            // It goes once more while the pool is opened.
            let dying = Arc::new(disk.with_fuse(choices.below(20)));
            let media: Arc<dyn Media> = Arc::clone(&dying) as _;
            let _ = Pool::open(media, Arc::new(Inline), Budgets::default(), 7, NOW);
            disk = dying.crash(&mut |limit| choices.below(limit));
        }
        let pool = open(&Arc::new(disk), budgets(choices));
        check(&pool, &known, &later);
        if choices.below(2) == 0 {
            assert_eq!(pool.verify(None, &mut |_, _| true).unwrap().damage, []);
        }
    }
}

fn check(pool: &Pool, known: &Model, later: &Model) {
    known.head.check_left(&later.head, &read_all(&*pool.file_system("d").unwrap()).unwrap());
    let whole = |name: &str| pool.file_system(name).ok().map(|files| read_all(&*files).unwrap());
    for (known, later) in known.snapshots.iter().zip(&later.snapshots) {
        let found = whole(&known.name);
        check_thing(known, later, found.as_deref());
    }
    for (one, values) in known.snapshots.iter().filter(|one| one.values.is_none()).map(|one| (one, whole(&one.name))) {
        values.into_iter().for_each(|values| later.head.check_at_once(0, &values, one.time.clone(), &one.name));
    }
    for (known, later) in known.clones.iter().zip(&later.clones) {
        check_thing(known, later, whole(&known.name).as_deref());
    }
    let files = pool.file_system("e").unwrap();
    for (known, later) in known.files.iter().zip(&later.files) {
        check_thing(known, later, read_file(&*files, &known.name).as_deref());
    }
}

/// All of a file, if it is there.
pub fn read_file(files: &dyn FileSystem, name: &str) -> Option<Vec<Value>> {
    let found = files.lookup(&context(false), InodeNumber::ROOT, name.as_bytes()).ok()?;
    let mut bytes = vec![0; found.size as usize];
    files.read(&context(false), found.inode, 0, &mut bytes).unwrap();
    Some(values_of(&bytes))
}

fn check_thing(known: &Thing, later: &Thing, found: Option<&[Value]>) {
    assert!(!known.is_gone || found.is_none(), "{} is back", known.name);
    assert!(later.is_going || found.is_some(), "{} was promised, and is not there", known.name);
    if let (Some(found), Some(values)) = (found, &known.values) {
        assert_eq!(found, values, "{} has changed", known.name);
    }
}
