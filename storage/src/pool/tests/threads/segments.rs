//! Segments that some append to, some read and some flush.

use std::sync::Arc;

use crate::executor::Executor;
use crate::media::{Choices, Media, Simulator};
use crate::pool::tests::threads::crowd::Crowd;
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::segment::{Place, SegmentOptions, Segments, Stream};
use crate::sync::Mutex;

const OPTIONS: SegmentOptions = SegmentOptions { segment_len: 2 << 20, reserve_count: 1 };

/// What was appended, each piece filled with one byte.
type Pieces = Mutex<Vec<(Place, u8)>>;

/// What was appended can be read at any time, while it moves from memory to the disk and new segments begin; and no two
/// pieces overlap. What was appended before a flush survives. In half of the orders others write what is appended.
#[test]
fn appended_bytes_are_read_back_while_they_are_written_out() {
    in_many_orders(600, |mut choices| {
        let disk = Arc::new(Simulator::new());
        let segments = Segments::open(Arc::clone(&disk) as Arc<dyn Media>, OPTIONS, None).unwrap();
        let crowd = Arc::new(Crowd::new(Choices::new(choices.below(u64::MAX))));
        if choices.below(2) == 0 {
            segments.write_behind(&(Arc::clone(&crowd) as Arc<dyn Executor>));
        }
        let pieces = Pieces::default();
        let own = split(&mut choices, 2);
        thread::scope(|scope| {
            let (segments, pieces) = (&segments, &pieces);
            (0..).zip(own).for_each(|(number, own)| drop(scope.spawn(move || append(segments, pieces, number, own))));
            scope.spawn(move || (0..6).for_each(|_| check(segments, &pieces.lock().clone())));
            let (disk, mut power) = (&disk, Choices::new(choices.below(u64::MAX)));
            scope.spawn(move || {
                for _ in 0..2 {
                    let appended = pieces.lock().clone();
                    segments.flush().unwrap();
                    let left: Arc<dyn Media> = Arc::new(disk.crash(&mut |limit| power.below(limit)));
                    check(&Segments::open(left, OPTIONS, None).unwrap(), &appended);
                }
            });
        });
        let mut pieces = pieces.into_inner();
        check(&segments, &pieces);
        pieces.sort_unstable();
        let overlap = |two: &[(Place, u8)]| two[0].0.segment == two[1].0.segment && two[0].0.end() > two[1].0.offset;
        assert!(!pieces.windows(2).any(overlap), "two pieces lie in one place");
        drop(segments);
        crowd.join();
    });
}

fn append(segments: &Segments, pieces: &Pieces, number: u8, mut choices: Choices) {
    for step in 0..4 {
        let stream = Stream::ALL[choices.below(2) as usize];
        // The largest fill a segment in a few steps.
        let length = [10, 4096, 5000, 700_000][choices.below(4) as usize];
        let byte = 1 + number * 100 + step;
        let place = segments.append(stream, false, &vec![byte; length]).unwrap();
        pieces.lock().push((place, byte));
        if choices.below(3) == 0 {
            segments.flush().unwrap();
        }
    }
}

fn check(segments: &Segments, pieces: &[(Place, u8)]) {
    for (place, byte) in pieces {
        let mut bytes = vec![0; place.length as usize];
        segments.read(*place, &mut bytes).unwrap();
        assert!(bytes.iter().all(|found| found == byte), "other bytes than were appended at {place:?}");
    }
}
