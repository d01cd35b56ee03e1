//! The client that does no wrong: how it fares.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Client, Set, Stable};
use cow_tests::random::Random;

const FILE_LEN: usize = 256 << 10;
const PIECE_LEN: usize = 64 << 10;

/// A client that works until it is told to end.
pub struct Bystander {
    is_over: Arc<AtomicBool>,
    works: JoinHandle<Seen>,
}

/// How it fared.
pub struct Seen {
    calls: usize,
    median: Duration,
    /// The longest that a call took.
    pub longest: Duration,
    /// What its file must hold.
    pub content: Vec<u8>,
}

impl Bystander {
    /// Begins to work on the file `name`, from the address `own`.
    pub fn start(own: IpAddr, server: SocketAddr, name: &'static str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let works = thread::spawn({
            let is_over = is_over.clone();
            move || work(own, server, name, &is_over)
        });
        Self { is_over, works }
    }

    /// Lets it end.
    pub fn end(self) -> Seen {
        self.is_over.store(true, Ordering::Release);
        self.works.join().expect("the client is served")
    }
}

/// Mounts, looks and writes in pieces that need large buffers, on new connections too.
fn work(own: IpAddr, server: SocketAddr, name: &str, is_over: &AtomicBool) -> Seen {
    let (mut times, mut content) = (Vec::new(), vec![0; FILE_LEN]);
    let mut random = Random::new(name.len() as u64);
    let mut rounds = 0;
    while !is_over.load(Ordering::Acquire) || rounds == 0 {
        let mut time = |began: Instant| times.push(began.elapsed());
        let began = Instant::now();
        let mut client = Client::connect_from((own, 0).into(), server).unwrap();
        let root = client.mount("/kept").unwrap();
        let file = client.create(&root, name.as_bytes(), false, &Set::default()).unwrap();
        time(began);
        for _ in 0..50 {
            let began = Instant::now();
            client.attributes(&file).unwrap();
            time(began);
            let (at, began) = (random.below((FILE_LEN - PIECE_LEN) as u64) as usize, Instant::now());
            let piece = random.bytes(PIECE_LEN);
            client.write(&file, at as u64, &piece, Stable::No).unwrap();
            time(began);
            content[at..at + PIECE_LEN].copy_from_slice(&piece);
        }
        rounds += 1;
        client.write(&file, 0, &content, Stable::File).unwrap();
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    Seen { calls: times.len(), median, longest, content }
}

/// What a file holds.
pub fn read_back(own: IpAddr, server: SocketAddr, name: &str) -> Vec<u8> {
    let mut client = Client::connect_from((own, 0).into(), server).unwrap();
    let root = client.mount("/kept").unwrap();
    let file = client.walk(&root, name).unwrap();
    client.read(&file, 0, 2 * FILE_LEN as u32).unwrap().0
}

impl fmt::Display for Seen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} calls, median {:.0?}, longest {:.1?}", self.calls, self.median, self.longest)
    }
}
