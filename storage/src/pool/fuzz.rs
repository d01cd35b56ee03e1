//! The decoders of what the pool puts into others' structures, for fuzzers.

use crate::format::{Encoder, Target};
use crate::pool::payload::Payload;
use crate::pool::record::{self, LogRecord};

pub(crate) const TARGETS: [Target; 2] = [
    Target::new("pool-payload", |bytes| Some(Payload::decode(bytes).ok()?.encode())).with_parts(parts),
    Target::new("log-record", |bytes| {
        Some(match record::decode(bytes).ok()? {
            LogRecord::Change(dataset, call, record) => record::encode(dataset, call, &record),
            LogRecord::Rewind(dataset, commit) => record::encode_rewind(dataset, commit),
        })
    })
    .with_parts(|bytes| bytes.get(9..).map(<[u8]>::to_vec).into_iter().collect()),
];

fn parts(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Ok(payload) = Payload::decode(bytes) else { return Vec::new() };
    let encoded = |put: &dyn Fn(&mut Encoder)| {
        let mut out = Encoder::default();
        put(&mut out);
        out.bytes
    };
    let (log, account) = (encoded(&|out| payload.log.encode(out)), encoded(&|out| payload.account.encode(out)));
    vec![payload.system.encode().to_vec(), log, account]
}
