//! A proxy in front of a broker. It counts the bytes of responses and can drop acknowledgements: the broker has executed the
//! request, but the client does not receive the response.
//!
//! It parses only the necessary part of the protocol: requests and responses are frames with a length; a request has an API key
//! and a correlation id, and the response repeats the id (<https://kafka.apache.org/protocol.html#protocol_messages>).

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

/// API key of a Produce request.
const PRODUCE: i16 = 0;
/// Host of the broker as it precedes the port in responses.
const HOST: &[u8] = b"127.0.0.1";
/// Maximum size of a frame; the largest frames are batches of records.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

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

/// The address of the broker in responses, and the address of the proxy that replaces it.
type Renamed = [Vec<u8>; 2];

impl Proxy {
    /// Starts a proxy on a free port for the broker on port `broker`, which advertises the address of the proxy.
    pub(super) fn start(broker: u16) -> Result<Self> {
        Self::serve_at(ports::free()?, broker, None)
    }

    /// Starts a proxy for a broker that advertises its own address. The proxy replaces the address in responses, so that each
    /// client can have its own proxy.
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
                // The broker is down: the connection is closed, as it would be without the proxy.
                if let Ok(upstream) = TcpStream::connect(("127.0.0.1", broker)) {
                    // Fails only when one of the two has disconnected already.
                    let _ = serve(&client, &upstream, &counts, renamed.as_ref());
                }
            }
        });
        Ok(proxy)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address for clients, `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the bytes of all forwarded responses, without the overhead of TCP and IP.
    pub fn answered_bytes(&self) -> u64 {
        self.counts.answered.load(Ordering::SeqCst)
    }

    /// Drops the acknowledgements of the next `count` Produce requests and closes their connections.
    pub fn lose_acknowledgements(&self, count: u32) {
        self.counts.to_lose.store(count, Ordering::SeqCst);
    }

    /// Returns the number of acknowledgements dropped so far.
    pub fn lost(&self) -> u32 {
        self.counts.lost.load(Ordering::SeqCst)
    }
}

/// Forwards frames in two threads, one per direction, until one side closes or a response must be dropped.
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
                // Later responses on the same connection are lost with it.
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
    // The other direction may have closed them already.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// Reads a frame including its length.
fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let length = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no Kafka frame"));
    }
    let mut frame = vec![0; 4 + length];
    frame[..4].copy_from_slice(&size);
    stream.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Both addresses have the same length, so the length of the frame stays valid.
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
