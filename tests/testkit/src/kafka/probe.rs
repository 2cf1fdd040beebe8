//! Probes the identity of a broker with one Metadata request. It is written by hand, because a client library would retry, log
//! and hide the details.
//!
//! Request and response are version 2 of <https://kafka.apache.org/protocol.html#The_Messages_Metadata>: the oldest
//! version with the cluster id, before the compact encoding.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Time limit: a frozen broker accepts connections and never responds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The cluster of a broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The id with which its storage was formatted.
    pub(super) id: String,
    /// Number of registered brokers.
    pub(super) brokers: i32,
}

/// Probes the broker at `addr`.
pub(super) fn cluster(addr: &str) -> io::Result<Cluster> {
    let addr: SocketAddr = addr.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&request())?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    // Another server may listen there: do not allocate memory by its first bytes.
    let size = usize::try_from(i32::from_be_bytes(size))
        .unwrap_or_default()
        .min(1 << 20);
    let mut body = vec![0; size];
    stream.read_exact(&mut body)?;
    parse(&body).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not Kafka's"))
}

/// Metadata v2 for no topics.
fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(3_i16.to_be_bytes()); // api key: Metadata
    body.extend(2_i16.to_be_bytes()); // version
    body.extend(1_i32.to_be_bytes()); // correlation id
    body.extend((-1_i16).to_be_bytes()); // client id: null
    body.extend(0_i32.to_be_bytes()); // topics: none (null would mean all)
    let size = u32::try_from(body.len()).unwrap_or_default();
    [&size.to_be_bytes()[..], &body].concat()
}

fn parse(body: &[u8]) -> Option<Cluster> {
    let mut reader = Reader(body);
    let _correlation_id = reader.int()?;
    let brokers = reader.int()?;
    for _ in 0..brokers {
        let _node_id = reader.int()?;
        let _host = reader.string()?;
        let _port = reader.int()?;
        let _rack = reader.string()?;
    }
    Some(Cluster {
        id: reader.string()?.to_owned(),
        brokers,
    })
}

/// Reads Kafka's primitive types in sequence.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn int(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    /// Reads a string with its length; null (-1) is returned as empty.
    fn string(&mut self) -> Option<&'a str> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(i16::from_be_bytes(*bytes)).unwrap_or_default();
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_parsed_and_a_truncated_or_foreign_one_rejected() {
        let mut body = Vec::new();
        body.extend(1_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes()); // one broker
        body.extend(1_i32.to_be_bytes());
        body.extend([0, 9]);
        body.extend(b"127.0.0.1");
        body.extend(9092_i32.to_be_bytes());
        body.extend((-1_i16).to_be_bytes()); // no rack
        body.extend([0, 3]);
        body.extend(b"abc");
        assert_eq!(
            parse(&body),
            Some(Cluster {
                id: "abc".to_owned(),
                brokers: 1
            })
        );
        assert_eq!(parse(&body[..body.len() - 1]), None);
        assert_eq!(parse(b"HTTP/1.1 400 Bad Request"), None);
    }
}
