//! Addresses at the edges of every special block, and their public neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::cases::rows;
use xact_contracts::address_guard::check_public;

/// Kinds with addresses at the edges of their blocks.
const REFUSED: &str = "
    unspecified → 0.0.0.0 0.255.255.255 ::
    private → 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255
    carrier-grade NAT → 100.64.0.0 100.127.255.255
    a cloud metadata service → 100.100.100.200 169.254.169.254 169.254.170.2 168.63.129.16 fd00:ec2::254 fd20:ce::254
    loopback → 127.0.0.1 127.255.255.255 ::1
    link-local → 169.254.0.0 169.254.255.255 fe80::1 febf::1
    reserved → 192.0.0.0 192.0.0.192 240.0.0.0 255.255.255.254
    for documentation → 192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff::1 3fff:fff:ffff::1
    a 6to4 relay → 192.88.99.1
    for benchmarks → 198.18.0.0 198.19.255.255
    multicast → 224.0.0.1 239.255.255.255 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    broadcast → 255.255.255.255
    an IPv4-compatible address → ::2 ::127.0.0.1
    an IPv4-mapped address → ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:169.254.169.254
    not global unicast → ::ffff:0:7f00:1 100:0:0:1::1 4000::1 5f00::1 8000::1
    a NAT64 address → 64:ff9b::7f00:1 64:ff9b::808:808
    a local NAT64 address → 64:ff9b:1::1 64:ff9b:1:ffff:ffff:ffff:ffff:ffff
    a discard address → 100::1
    a Teredo address → 2001::1 2001:0:ffff:ffff::1
    for protocols, not hosts → 2001:2::1 2001:10::1 2001:1ff:ffff::1
    a 6to4 address → 2002::1 2002:7f00:1::1
    private (unique local) → fc00::1 fdff:ffff::1
    site-local → fec0::1 feff::1
";

/// Real hosts, and the addresses next to the blocks above.
const PUBLIC: &str = "
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 52.218.128.1 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0
    192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255 2000::1
    2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1 2003::1 2600:1f18::1 2606:4700:4700::1111
    3ffe:ffff::1 3fff:1000::1
";

#[test]
fn special_addresses_are_refused_by_kind() {
    for [kind, addresses] in rows(REFUSED) {
        for address in addresses.split(' ') {
            let found = check_public(address.parse().unwrap()).map_err(|refusal| refusal.kind);
            assert_eq!(found, Err(kind), "{address}");
        }
    }
}

#[test]
fn public_addresses_pass() {
    for address in PUBLIC.split_whitespace() {
        assert_eq!(check_public(address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[test]
fn the_refusal_names_address_and_block() {
    let text = check_public("10.1.2.3".parse().unwrap()).unwrap_err().to_string();
    assert!(
        text.contains("10.1.2.3, which is private (10.0.0.0/8, RFC 1918)"),
        "{text}"
    );
}

proptest! {
    /// The standard library knows a part of the registry: whatever it calls special must be refused.
    #[test]
    fn addresses_that_the_standard_library_calls_special_are_refused(v4: u32, v6: u128) {
        let v4 = Ipv4Addr::from_bits(v4);
        let v6 = Ipv6Addr::from_bits(v6);
        if check_public(IpAddr::V4(v4)).is_ok() {
            prop_assert!(!v4.is_private() && !v4.is_loopback() && !v4.is_link_local() && !v4.is_multicast());
            prop_assert!(!v4.is_broadcast() && !v4.is_documentation() && !v4.is_unspecified());
        }
        if check_public(IpAddr::V6(v6)).is_ok() {
            prop_assert!(!v6.is_loopback() && !v6.is_unspecified() && !v6.is_multicast());
            prop_assert!(!v6.is_unique_local() && !v6.is_unicast_link_local());
        }
        prop_assert!(check_public(IpAddr::V6(v4.to_ipv6_mapped())).is_err());
        prop_assert!(check_public(IpAddr::V6(v4.to_ipv6_compatible())).is_err());
    }
}
