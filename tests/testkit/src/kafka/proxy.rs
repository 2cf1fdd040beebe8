//! A proxy before a broker. It counts what the broker answers, and can lose answers: the broker has done what it was asked,
//! and the client never hears of it.
//!
//! It reads just enough of the protocol for that: requests and answers are frames with a length, a request names its
//! kind and a correlation id, the answer repeats the id (<https://kafka.apache.org/protocol.html#protocol_messages>).

use std::{
    collections::HashSet,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

use parking_lot::Mutex;

use crate::{Error, Result, ports};

/// The kind of a Produce request.
const PRODUCE: i16 = 0;
/// Where a broker of ours is, as its answers name it before its port.
const HOST: &[u8] = b"127.0.0.1";
/// No frame here is longer than a batch of records.
const LONGEST: usize = 16 * 1024 * 1024;

/// The proxy. It serves until the process ends.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    to_lose: AtomicU32,
    lost: AtomicU32,
    answered: AtomicU64,
}

/// The broker's place in its answers, and ours instead of it.
type Renamed = [Vec<u8>; 2];

impl Proxy {
    /// Serves on a free port for the broker on `broker`, which tells every client to come here.
    pub(super) fn start(broker: u16) -> Result<Self> {
        Self::serve_at(ports::free()?, broker, None)
    }

    /// The same for a broker that tells its clients to come to itself: in answers that pass here its place is replaced by
    /// ours, so that each client may have a proxy of its own.
    pub(super) fn start_renaming(broker: u16) -> Result<Self> {
        let port = ports::free()?;
        let place = |port: u16| [HOST, &u32::from(port).to_be_bytes()].concat();
        Self::serve_at(port, broker, Some([place(broker), place(port)]))
    }

    fn serve_at(port: u16, broker: u16, renamed: Option<Renamed>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(Error::io(format!("listen on {port}")))?;
        let counts = Arc::<Counts>::default();
        let proxy = Self {
            port,
            counts: Arc::clone(&counts),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A broker that is down: the client is sent away, as it would be without us.
                if let Ok(upstream) = TcpStream::connect(("127.0.0.1", broker)) {
                    // Fails only when one of the two is gone already.
                    let _ = serve(&client, &upstream, &counts, renamed.as_ref());
                }
            }
        });
        Ok(proxy)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Where clients connect: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Bytes of all answers that were handed on so far, as Kafka's protocol counts them: without those of TCP and IP.
    pub fn answered_bytes(&self) -> u64 {
        self.counts.answered.load(Ordering::SeqCst)
    }

    /// The acknowledgements of the next `count` Produce requests are lost, with the connections that they come on.
    pub fn lose_acknowledgements(&self, count: u32) {
        self.counts.to_lose.store(count, Ordering::SeqCst);
    }

    /// How many acknowledgements were lost so far.
    pub fn lost(&self) -> u32 {
        self.counts.lost.load(Ordering::SeqCst)
    }
}

/// Two threads that carry frames, one each way, until one side closes or an answer is to be lost.
fn serve(client: &TcpStream, broker: &TcpStream, counts: &Arc<Counts>, renamed: Option<&Renamed>) -> io::Result<()> {
    for stream in [client, broker] {
        stream.set_nodelay(true)?;
    }
    let marked = Arc::<Mutex<HashSet<i32>>>::default();
    let (mut from, mut to) = (client.try_clone()?, broker.try_clone()?);
    let (marks, losing) = (Arc::clone(&marked), Arc::clone(counts));
    thread::spawn(move || {
        while let Ok(request) = frame(&mut from) {
            let take_one = |left: u32| left.checked_sub(1);
            if kind(&request) == Some(PRODUCE)
                && losing
                    .to_lose
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
                    .is_ok()
                && let Some(id) = number(&request, 8)
            {
                marks.lock().insert(id);
            }
            if to.write_all(&request).is_err() {
                break;
            }
        }
        close(&from, &to);
    });
    let (mut from, mut to) = (broker.try_clone()?, client.try_clone()?);
    let (counts, renamed) = (Arc::clone(counts), renamed.cloned());
    thread::spawn(move || {
        while let Ok(mut answer) = frame(&mut from) {
            let marked = marked.lock();
            if number(&answer, 4).is_some_and(|id| marked.contains(&id)) {
                // Those behind it on the same connection are lost with it.
                counts
                    .lost
                    .fetch_add(u32::try_from(marked.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
                break;
            }
            drop(marked);
            if let Some(renamed) = &renamed {
                rename(&mut answer, renamed);
            }
            counts.answered.fetch_add(answer.len() as u64, Ordering::SeqCst);
            if to.write_all(&answer).is_err() {
                break;
            }
        }
        close(&from, &to);
    });
    Ok(())
}

fn close(one: &TcpStream, other: &TcpStream) {
    // The other direction may have closed them before.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// A frame with its length before it.
fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let length = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no Kafka frame"));
    }
    let mut frame = vec![0; 4 + length];
    frame[..4].copy_from_slice(&size);
    stream.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Both places are of one length, so the frame stays as long as it says.
fn rename(answer: &mut [u8], [from, to]: &Renamed) {
    let mut at = 0;
    while let Some(part) = answer.get_mut(at..at + from.len()) {
        if part == from.as_slice() {
            part.copy_from_slice(to);
        }
        at += 1;
    }
}

fn kind(request: &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(request.get(4..6)?.try_into().ok()?))
}

fn number(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}
