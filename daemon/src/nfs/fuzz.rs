//! The decoders of records and calls, for fuzzers: from bytes on a connection to the reply.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use cow_storage::catalog::Properties;
use cow_storage::executor::Inline;
use cow_storage::format::{PoolId, Timestamp};
use cow_storage::fuzz::Target;
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, NewPool, Pool};

use crate::nfs::buffers::Buffers;
use crate::nfs::counters::{Counting, Reason};
use crate::nfs::handle::{HandleKey, LENGTH};
use crate::nfs::mount::Mounts;
use crate::nfs::nlm::{LockSetup, Locking};
use crate::nfs::record::{End, LAST_FRAGMENT, RecordReader};
use crate::nfs::replay::Replay;
use crate::nfs::rpc;
use crate::nfs::service::{Answer, Origin, Service};
use crate::nfs::uses::Uses;
use crate::nfs::xdr::Decoder;
use crate::nfs::{caller, nlm};
use crate::shares::{Access, Network, PoolViews, Rule, Share, Shares, Squash};

pub(crate) const TARGETS: [Target; 3] = [
    Target::new("nfs-records", records_again).within(4 << 20),
    Target::new("nfs-call", call_again).sealed(seal_handles).within(64 << 20),
    Target::new("nfs-reply", reply_again).within(1 << 20),
];

/// Calls that one service answers: what they do to its files must not add up.
const CALLS_MAX: u64 = 256;
/// Makes the handles.
const SECRET: [u8; 32] = [7; 32];
/// Bytes of a handle before its tag.
const BODY_LENGTH: usize = 28;

thread_local! {
    static SERVICE: RefCell<Option<(Service, u64)>> = const { RefCell::new(None) };
}

/// Reads all records of a stream; where it ends well, what was read is there, fragment by fragment.
fn records_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (buffers, mut reader, mut stream) = (Buffers::new(1 << 22), RecordReader::default(), bytes);
    let portion = buffers.portion(None);
    let mut records = Vec::new();
    loop {
        match reader.read(&mut stream, &portion, &mut || true) {
            Ok(record) => records.push(record.filled().to_vec()),
            Err(End::Closed) => break,
            Err(_) => return None,
        }
        assert!(buffers.in_use() == 0, "a record's buffer did not go back");
    }
    assert!(records.concat() == bodies(bytes).concat(), "records came out as other bytes than went in");
    Some(bytes.to_vec())
}

/// The bodies of the fragments.
fn bodies(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let Some((mark, rest)) = bytes.split_first_chunk() {
        let (body, rest) = rest.split_at((u32::from_be_bytes(*mark) & !LAST_FRAGMENT) as usize);
        bodies.push(body);
        bytes = rest;
    }
    bodies
}

/// Answers a call. Accepted is what was run.
fn call_again(bytes: &[u8]) -> Option<Vec<u8>> {
    SERVICE.with_borrow_mut(|slot| {
        let fresh = slot.take().filter(|(_, calls)| *calls < CALLS_MAX);
        let (service, calls) = fresh.unwrap_or_else(|| (service(), 0));
        let origin = Origin::new(SocketAddr::from(([127, 0, 0, 1], 700)), None);
        origin.ended.store(true, Ordering::Release);
        let is_call = matches!(rpc::decode(bytes), Ok(rpc::Header::Call(..)));
        let _ = service.is_slow(bytes);
        let answer = match service.answer(&origin, bytes, true) {
            Answer::Promised(promised) => service.settle(vec![*promised]).pop().map_or(Answer::Nothing, Answer::Reply),
            answer => answer,
        };
        // The service itself lives on after a panic, which here is a failure all the same.
        assert!(service.counting.panics.get() == 0, "a call panicked");
        let reasons = [Reason::Garbage, Reason::RpcVersion, Reason::Credentials, Reason::Flavor];
        let refused: u64 = reasons.map(|reason| service.counting.refusals(reason)).iter().sum();
        assert!(is_call || refused > 0, "what is no call was not counted as such");
        let is_answered = match &answer {
            Answer::Reply(reply) => is_framed(reply.bytes()),
            Answer::Kept(reply) => is_framed(reply),
            Answer::Promised(_) | Answer::Nothing | Answer::End => false,
        };
        drop(answer);
        *slot = Some((service, calls + 1));
        (is_call && is_answered).then(|| bytes.to_vec())
    })
}

/// Takes what a client answers to a call of ours, as whatever it may be an answer to. Accepted is what is one to this number.
fn reply_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let results = caller::results(bytes, 1).ok()??;
    assert!(bytes.ends_with(&results), "the results are not what the reply ends with");
    let decoder = || Decoder::new(&results);
    let (_, _) = (decoder().u32(), nlm::decode_stat(&mut decoder()));
    let _ = decoder().opaque(128).ok().and_then(caller::port_in);
    Some(bytes.to_vec())
}

/// A reply tells its own length, and is a whole number of words.
fn is_framed(reply: &[u8]) -> bool {
    let mark = u32::from_be_bytes(*reply.first_chunk().expect("a reply has a mark"));
    assert!((mark & !LAST_FRAGMENT) as usize == reply.len() - 4 && reply.len().is_multiple_of(4), "a reply is cut");
    true
}

/// Tags all handles, so that what is behind the tag's check is reached.
fn seal_handles(bytes: &mut [u8]) {
    let key = HandleKey::new(SECRET);
    let length = (LENGTH as u32).to_be_bytes();
    for at in (0..bytes.len()).step_by(4).filter(|at| bytes[*at..].starts_with(&length)).collect::<Vec<_>>() {
        if let Some(handle) = bytes.get_mut(at + 4..at + 4 + LENGTH) {
            let (body, tag) = handle.split_at_mut(BODY_LENGTH);
            tag.copy_from_slice(&key.tag(body));
        }
    }
}

/// A service of one dataset, `/fuzzed`, of an empty pool, with a snapshot.
fn service() -> Service {
    let media: Arc<dyn Media> = Arc::new(Simulator::new());
    let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 256 << 10 };
    Pool::create(&media, &new).expect("a pool can be made in memory");
    let budgets = Budgets { dirty: 4 << 20, nodes: 1 << 20, blocks: 1 << 20, slots: 1 << 20, dedup: 1 << 20 };
    let now = Timestamp::default();
    let pool = Pool::open(media, Arc::new(Inline), budgets, 7, now).expect("the pool opens");
    let dataset = pool.create_dataset("fuzzed", &Properties::default(), now).expect("a dataset can be made").id;
    pool.snapshot(&[("fuzzed", "s")], now).expect("a snapshot can be taken");
    let rule = |network| Rule { network, writable: true, squash: Squash::None };
    let access = Access { rules: [Network::ALL_IPV4, Network::ALL_IPV6].map(rule).to_vec(), ..Access::default() };
    let file_system = pool.file_system("fuzzed").expect("the dataset has files");
    let shares = Arc::new(Shares::default());
    let (path, dataset_name) = ("/fuzzed".to_owned(), "fuzzed".to_owned());
    shares.set(Share {
        path,
        dataset_name,
        dataset,
        fsid: dataset.0,
        file_system,
        access: Arc::new(access),
        access_from: None,
    });
    Service {
        views: Arc::new(PoolViews::new(pool, shares)),
        key: HandleKey::new(SECRET),
        buffers: Buffers::new(4 << 20),
        replay: Replay::new(64, 1 << 20),
        counting: Counting::default(),
        mounts: Mounts::default(),
        uses: Uses::default(),
        // No client is there to be called.
        locking: Locking::start(LockSetup { rpcbind_port: 1, ..LockSetup::default() }).expect("locks need no file"),
        portmapped: OnceLock::from(2049),
    }
}
