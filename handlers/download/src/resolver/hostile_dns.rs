//! A DNS server for tests whose answers change between queries.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::net::UdpSocket;

/// The answer to one query for a name.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Addresses; a query for the other address family gets an empty answer.
    Addresses(Vec<IpAddr>),
    /// A CNAME without addresses: the resolver has to query the target.
    Alias(&'static str),
    /// A CNAME with the target's addresses.
    AliasOf(&'static str, Vec<IpAddr>),
    /// `NXDOMAIN`.
    Missing,
    /// `SERVFAIL`.
    Failure,
    /// No answer at all.
    Silence,
    /// Bytes that are not a DNS message.
    Garbage,
}

#[derive(Default)]
struct Zone {
    /// Answers by name, one for each query of an address family; the last one is repeated.
    answers: HashMap<String, Vec<Answer>>,
    /// Number of queries by name, and whether they were for IPv4.
    questions: HashMap<(String, bool), usize>,
}

/// A running server. It stops with the test's runtime.
pub(super) struct HostileDns {
    pub(super) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl HostileDns {
    pub(super) async fn start(names: &[(&str, &[Answer])]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let answers = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.to_vec()))
            .collect();
        let zone = Arc::new(Mutex::new(Zone {
            answers,
            ..Zone::default()
        }));
        tokio::spawn(serve(socket, Arc::clone(&zone)));
        Self { address, zone }
    }

    /// Returns the number of queries for the name's IPv4 addresses.
    pub(super) fn questions(&self, name: &str) -> usize {
        let questions = &self.zone.lock().unwrap().questions;
        questions.get(&(name.to_owned(), true)).copied().unwrap_or(0)
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 1500];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let reply = reply(&buffer[..length], &zone);
        if let Some(reply) = reply {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

fn reply(request: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let request = Packet::parse(request).unwrap();
    let question = request.questions[0].clone();
    let name = question.qname.to_string().to_ascii_lowercase();
    let is_v4 = question.qtype == QTYPE::TYPE(TYPE::A);
    let answer = {
        let mut zone = zone.lock().unwrap();
        // A lookup queries both families in any order: both must get the answers of the same turn.
        let asked = zone.questions.entry((name.clone(), is_v4)).or_default();
        let turn = *asked;
        *asked += 1;
        let answers = zone.answers.get(&name);
        answers.map_or(Answer::Missing, |answers| answers[turn.min(answers.len() - 1)].clone())
    };
    let mut packet = Packet::new_reply(request.id());
    packet.set_flags(PacketFlag::RECURSION_AVAILABLE | PacketFlag::RECURSION_DESIRED);
    packet.questions.push(question.clone());
    let own = question.qname.clone();
    match answer {
        Answer::Addresses(addresses) => add_addresses(&mut packet, &own, &addresses, is_v4),
        Answer::Alias(target) => add_alias(&mut packet, &own, target),
        Answer::AliasOf(target, addresses) => {
            add_alias(&mut packet, &own, target);
            add_addresses(&mut packet, &Name::new_unchecked(target), &addresses, is_v4);
        }
        Answer::Missing => *packet.rcode_mut() = RCODE::NameError,
        Answer::Failure => *packet.rcode_mut() = RCODE::ServerFailure,
        Answer::Silence => return None,
        Answer::Garbage => return Some(vec![0xFF; 64]),
    }
    Some(packet.build_bytes_vec().unwrap())
}

fn add_alias<'a>(packet: &mut Packet<'a>, own: &Name<'a>, target: &'static str) {
    let data = RData::CNAME(CNAME(Name::new_unchecked(target)));
    packet.answers.push(record(own, data));
}

fn add_addresses<'a>(packet: &mut Packet<'a>, own: &Name<'a>, addresses: &[IpAddr], is_v4: bool) {
    for address in addresses.iter().filter(|address| address.is_ipv4() == is_v4) {
        let data = match *address {
            IpAddr::V4(address) => RData::A(A::from(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA::from(address)),
        };
        packet.answers.push(record(own, data));
    }
}

/// Creates a record with a TTL of 0, so that each lookup has to query again.
fn record<'a>(own: &Name<'a>, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(own.clone(), CLASS::IN, 0, data)
}
