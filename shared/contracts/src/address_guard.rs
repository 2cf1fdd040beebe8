//! Which resolved addresses may be connected to: only public ones.
//!
//! An allowed name can be made to resolve to an internal address (DNS rebinding), so the address to which the connection is
//! pinned is checked as well. Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, updated by RFC
//! 8190), the IPv6 Address Space registry (only `2000::/3` is assigned as global unicast), and the clouds' metadata addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// No attachment may be fetched from the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the host resolves to {address}, which is {kind} ({block}); only public addresses are connected to: check the DNS record of the host"
)]
pub struct AddressRefusedError {
    /// The address.
    pub address: IpAddr,
    /// What kind of address it is.
    pub kind: &'static str,
    /// The registered block that holds it, with its source.
    pub block: &'static str,
}

struct Block {
    network: u128,
    /// The number of bits that differ within the block.
    host_bits: u32,
    kind: &'static str,
    name: &'static str,
}

impl Block {
    fn holds(&self, address: u128) -> bool {
        address >> self.host_bits == self.network >> self.host_bits
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32, kind: &'static str, name: &'static str) -> Block {
    let (network, host_bits) = (Ipv4Addr::new(a, b, c, d).to_bits() as u128, 32 - prefix);
    Block {
        network,
        host_bits,
        kind,
        name,
    }
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u32, kind: &'static str, name: &'static str) -> Block {
    let (network, host_bits) = (Ipv6Addr::new(a, b, c, d, e, f, g, h).to_bits(), 128 - prefix);
    Block {
        network,
        host_bits,
        kind,
        name,
    }
}

/// The first block that holds an address counts, so the smaller ones stand first.
#[rustfmt::skip] // One block a line, as in the registry.
const V4_BLOCKS: [Block; 20] = [
    v4(169, 254, 169, 254, 32, "a cloud metadata service", "169.254.169.254/32, AWS, Azure and GCP"),
    v4(169, 254, 170, 2, 32, "a cloud metadata service", "169.254.170.2/32, AWS ECS"),
    v4(168, 63, 129, 16, 32, "a cloud metadata service", "168.63.129.16/32, Azure wire server"),
    v4(100, 100, 100, 200, 32, "a cloud metadata service", "100.100.100.200/32, Alibaba Cloud"),
    v4(0, 0, 0, 0, 8, "unspecified", "0.0.0.0/8, RFC 791"),
    v4(10, 0, 0, 0, 8, "private", "10.0.0.0/8, RFC 1918"),
    v4(100, 64, 0, 0, 10, "carrier-grade NAT", "100.64.0.0/10, RFC 6598"),
    v4(127, 0, 0, 0, 8, "loopback", "127.0.0.0/8, RFC 1122"),
    v4(169, 254, 0, 0, 16, "link-local", "169.254.0.0/16, RFC 3927"),
    v4(172, 16, 0, 0, 12, "private", "172.16.0.0/12, RFC 1918"),
    v4(192, 0, 0, 0, 24, "reserved", "192.0.0.0/24, RFC 6890"),
    v4(192, 0, 2, 0, 24, "for documentation", "192.0.2.0/24, RFC 5737"),
    v4(192, 88, 99, 0, 24, "a 6to4 relay", "192.88.99.0/24, RFC 7526"),
    v4(192, 168, 0, 0, 16, "private", "192.168.0.0/16, RFC 1918"),
    v4(198, 18, 0, 0, 15, "for benchmarks", "198.18.0.0/15, RFC 2544"),
    v4(198, 51, 100, 0, 24, "for documentation", "198.51.100.0/24, RFC 5737"),
    v4(203, 0, 113, 0, 24, "for documentation", "203.0.113.0/24, RFC 5737"),
    v4(224, 0, 0, 0, 4, "multicast", "224.0.0.0/4, RFC 5771"),
    v4(255, 255, 255, 255, 32, "broadcast", "255.255.255.255/32, RFC 919"),
    v4(240, 0, 0, 0, 4, "reserved", "240.0.0.0/4, RFC 1112"),
];

/// Forms that embed an IPv4 address are refused entirely: they have no legitimate use in public DNS.
#[rustfmt::skip]
const V6_BLOCKS: [Block; 21] = [
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, "a cloud metadata service", "fd00:ec2::254/128, AWS"),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, "a cloud metadata service", "fd20:ce::254/128, GCP"),
    v6([0; 8], 128, "unspecified", "::/128, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback", "::1/128, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "an IPv4-mapped address", "::ffff:0:0/96, RFC 4291"),
    v6([0; 8], 96, "an IPv4-compatible address", "::/96, RFC 4291"),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "a NAT64 address", "64:ff9b::/96, RFC 6052"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "a local NAT64 address", "64:ff9b:1::/48, RFC 8215"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "a discard address", "100::/64, RFC 6666"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "a Teredo address", "2001::/32, RFC 4380"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "for protocols, not hosts", "2001::/23, RFC 2928"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "for documentation", "2001:db8::/32, RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a 6to4 address", "2002::/16, RFC 3056"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "for documentation", "3fff::/20, RFC 9637"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "private (unique local)", "fc00::/7, RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", "fe80::/10, RFC 4291"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local", "fec0::/10, RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", "ff00::/8, RFC 4291"),
    // All that is left outside of 2000::/3, the only addresses that IANA assigns to networks.
    v6([0; 8], 3, "not global unicast", "outside 2000::/3, RFC 4291"),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, "not global unicast", "outside 2000::/3, RFC 4291"),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, "not global unicast", "outside 2000::/3, RFC 4291"),
];

/// Checks that an address is public.
///
/// # Errors
/// The registered block that it belongs to.
pub fn check_public(address: IpAddr) -> Result<(), AddressRefusedError> {
    let (blocks, bits): (&[Block], u128) = match address {
        IpAddr::V4(v4) => (&V4_BLOCKS, v4.to_bits().into()),
        IpAddr::V6(v6) => (&V6_BLOCKS, v6.to_bits()),
    };
    match blocks.iter().find(|block| block.holds(bits)) {
        Some(&Block { kind, name: block, .. }) => Err(AddressRefusedError { address, kind, block }),
        None => Ok(()),
    }
}
