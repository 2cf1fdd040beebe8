//! A proxy before a broker that loses answers: the broker has done what it was asked, and the client never hears of it.
//!
//! It reads just enough of the protocol for that: requests and answers are frames with a length, a request names its
//! kind and a correlation id, the answer repeats the id (<https://kafka.apache.org/protocol.html#protocol_messages>).

use std::{
    collections::HashSet,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::{Error, Result, ports};

/// The kind of a Produce request.
const PRODUCE: i16 = 0;
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
}

impl Proxy {
    /// Serves on a free port for the broker on `broker`.
    pub(super) fn start(broker: u16) -> Result<Self> {
        let port = ports::free()?;
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
                    let _ = serve(&client, &upstream, &counts);
                }
            }
        });
        Ok(proxy)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
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
fn serve(client: &TcpStream, broker: &TcpStream, counts: &Arc<Counts>) -> io::Result<()> {
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
                marks.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            }
            if to.write_all(&request).is_err() {
                break;
            }
        }
        close(&from, &to);
    });
    let (mut from, mut to) = (broker.try_clone()?, client.try_clone()?);
    let counts = Arc::clone(counts);
    thread::spawn(move || {
        while let Ok(answer) = frame(&mut from) {
            let marked = marked.lock().unwrap_or_else(PoisonError::into_inner);
            if number(&answer, 4).is_some_and(|id| marked.contains(&id)) {
                // Those behind it on the same connection are lost with it.
                counts
                    .lost
                    .fetch_add(u32::try_from(marked.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
                break;
            }
            drop(marked);
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

fn kind(request: &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(request.get(4..6)?.try_into().ok()?))
}

fn number(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}
