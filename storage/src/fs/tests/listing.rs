//! Listing a directory page by page while names come and go.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::InodeNumber;
use crate::fs::tests::history::Random;
use crate::fs::tests::store::{Fs, root};
use crate::fs::*;

const ROOT: InodeNumber = InodeNumber::ROOT;

/// Makes the name if it is not there, and else removes or moves it. Returns the names that it touched.
fn disturb(fs: &mut Fs, random: &mut Random, time: i64) -> Vec<Vec<u8>> {
    let mut name = || format!("name-{}", random.below(200)).into_bytes();
    let (name, other) = (name(), name());
    let plain = NewObject::Regular { exclusive: None };
    if fs.create(&root(time), ROOT, &name, &plain, 0o644, &AttributeChange::default()).is_ok() {
        return vec![name];
    }
    if random.below(2) == 0 {
        fs.remove(&root(time), ROOT, &name).unwrap();
        return vec![name];
    }
    fs.rename(&root(time), (ROOT, &name), (ROOT, &other)).unwrap();
    vec![name, other]
}

#[test]
fn every_name_that_stays_is_listed_once() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let mut fs = Fs::new(random.pick(&[7, 255, u64::MAX]));
        for time in 2..200 {
            disturb(&mut fs, &mut random, time);
        }
        let all = fs.reader().read_directory(&root(0), ROOT, 0, usize::MAX).unwrap().entries;
        let present: BTreeSet<_> = all.into_iter().map(|entry| entry.name).collect();
        let (mut touched, mut listed) = (BTreeSet::new(), BTreeMap::new());
        let mut after = 0;
        loop {
            let limit = 1 + random.below(9);
            let page = fs.reader().read_directory(&root(0), ROOT, after, limit).unwrap();
            assert!(page.entries.len() == limit || page.end);
            for entry in page.entries {
                assert!(entry.cookie > after.max(2) && entry.cookie < 1 << 63);
                after = entry.cookie;
                *listed.entry(entry.name).or_insert(0) += 1;
            }
            if page.end {
                break;
            }
            for _ in 0..random.below(6) {
                touched.extend(disturb(&mut fs, &mut random, 300));
            }
        }
        assert!(present.difference(&touched).all(|name| listed.get(name) == Some(&1)), "seed {seed}");
        assert!(listed.iter().all(|(name, times)| *times == 1 || touched.contains(name)), "seed {seed}");
    }
}
