//! Calls of NFS with several in flight on one connection, at little cost to the one who measures: data is sent from where it
//! lies, replies are looked at in the buffer that they came in, and each call's time is kept.
//!
//! Invariant: every reply belongs to a call in flight and says that it was done; anything else is an error.

use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Call, Client, Failure, Handle, NFS, Outcome, Reader, Stable, Writer};

/// Set in the mark of a record that comes in one piece.
const WHOLE: u32 = 1 << 31;
/// Room for the longest reply, and for those behind it.
const INPUT_LEN: usize = 4 << 20;

/// A call, and bytes that follow it on the wire.
pub struct Sent<'a> {
    /// The call, without the data.
    pub call: Call,
    /// Its data: a multiple of four bytes.
    pub data: &'a [u8],
}

impl<'a> Sent<'a> {
    /// A call without data.
    pub fn plain(call: Call) -> Self {
        Self { call, data: &[] }
    }

    /// WRITE, unstable.
    pub fn write(file: &Handle, offset: u64, data: &'a [u8]) -> Self {
        let length = data.len() as u32;
        let arguments = Writer::default().opaque(&file.0).long(offset).words(&[length, Stable::No as u32, length]);
        Self { call: Call { program: NFS, procedure: 7, arguments: arguments.0 }, data }
    }
}

/// A connection with calls in flight.
pub struct Flow {
    client: Client,
    stream: TcpStream,
    in_flight: HashMap<u32, Instant>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// How long each call took that was answered.
    pub times: Vec<Duration>,
}

impl Flow {
    /// Uses a client's connection, on which nothing is under way.
    pub fn new(mut client: Client) -> Outcome<Self> {
        let stream = client.stream().try_clone()?;
        let input = vec![0; INPUT_LEN];
        Ok(Self { client, stream, in_flight: HashMap::new(), input, start: 0, end: 0, times: Vec::new() })
    }

    /// Calls with at most `depth` in flight until `next`, told how many there were, has no more; then waits for the
    /// replies. `check` looks at what follows the status of each.
    pub fn run<'a>(
        &mut self,
        depth: usize,
        mut next: impl FnMut(u64) -> Option<Sent<'a>>,
        check: impl Fn(&mut Reader<'_>) -> Outcome<()>,
    ) -> Outcome<u64> {
        let mut count = 0;
        loop {
            while self.in_flight.len() < depth
                && let Some(sent) = next(count)
            {
                count += 1;
                self.send(&sent)?;
            }
            if self.in_flight.is_empty() {
                return Ok(count);
            }
            self.receive(&check)?;
        }
    }

    fn send(&mut self, sent: &Sent<'_>) -> Outcome<()> {
        let (xid, mut record) = self.client.encode(&sent.call);
        let mark = (record.len() - 4 + sent.data.len()) as u32 | WHOLE;
        record[..4].copy_from_slice(&mark.to_be_bytes());
        self.in_flight.insert(xid, Instant::now());
        let written = self.stream.write_vectored(&[IoSlice::new(&record), IoSlice::new(sent.data)])?;
        let (front, back) = (written.min(record.len()), written.saturating_sub(record.len()));
        self.stream.write_all(&record[front..])?;
        Ok(self.stream.write_all(&sent.data[back..])?)
    }

    fn receive(&mut self, check: impl Fn(&mut Reader<'_>) -> Outcome<()>) -> Outcome<()> {
        self.have(4)?;
        let mark = Reader(&self.input[self.start..]).word()?;
        // Some servers send a long reply in several fragments; none here does.
        if mark & WHOLE == 0 {
            return Err(Failure::Garbage);
        }
        let length = (mark & !WHOLE) as usize;
        self.have(4 + length)?;
        let mut reader = Reader(&self.input[self.start + 4..self.start + 4 + length]);
        self.start += 4 + length;
        let xid = reader.word()?;
        let began = self.in_flight.remove(&xid).ok_or(Failure::Garbage)?;
        self.times.push(began.elapsed());
        let (kind, state, _flavor) = (reader.word()?, reader.word()?, reader.word()?);
        reader.opaque()?;
        match (kind, state, reader.word()?) {
            (1, 0, 0) => {}
            (_, state, accepted) => return Err(Failure::Refused(state, accepted)),
        }
        reader.status()?;
        check(&mut reader)
    }

    /// Reads until `length` bytes lie one after the other.
    fn have(&mut self, length: usize) -> Outcome<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + length > self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < length {
            // Not more than a little beyond, or long replies would have to be moved.
            let until = self.input.len().min((self.start + length).max(self.end + (64 << 10)));
            match self.stream.read(&mut self.input[self.end..until])? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                got => self.end += got,
            }
        }
        Ok(())
    }
}
