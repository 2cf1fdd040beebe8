//! Addresses at the edges of every special block, and their public neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use xact_contracts::address_guard::check_public;

const REFUSED: &[(&str, &str)] = &[
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("100.100.100.200", "a cloud metadata service"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("169.254.0.0", "link-local"),
    ("169.254.169.254", "a cloud metadata service"),
    ("169.254.170.2", "a cloud metadata service"),
    ("169.254.255.255", "link-local"),
    ("168.63.129.16", "a cloud metadata service"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.0", "reserved"),
    ("192.0.0.192", "reserved"),
    ("192.0.2.1", "for documentation"),
    ("192.88.99.1", "a 6to4 relay"),
    ("192.168.0.0", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.0", "for benchmarks"),
    ("198.19.255.255", "for benchmarks"),
    ("198.51.100.1", "for documentation"),
    ("203.0.113.1", "for documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "an IPv4-compatible address"),
    ("::127.0.0.1", "an IPv4-compatible address"),
    ("::ffff:127.0.0.1", "an IPv4-mapped address"),
    ("::ffff:8.8.8.8", "an IPv4-mapped address"),
    ("::ffff:169.254.169.254", "an IPv4-mapped address"),
    ("::ffff:0:7f00:1", "not global unicast"),
    ("64:ff9b::7f00:1", "a NAT64 address"),
    ("64:ff9b::808:808", "a NAT64 address"),
    ("64:ff9b:1::1", "a local NAT64 address"),
    ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "a local NAT64 address"),
    ("100::1", "a discard address"),
    ("100:0:0:1::1", "not global unicast"),
    ("2001::1", "a Teredo address"),
    ("2001:0:ffff:ffff::1", "a Teredo address"),
    ("2001:2::1", "for protocols, not hosts"),
    ("2001:10::1", "for protocols, not hosts"),
    ("2001:1ff:ffff::1", "for protocols, not hosts"),
    ("2001:db8::1", "for documentation"),
    ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "for documentation"),
    ("2002::1", "a 6to4 address"),
    ("2002:7f00:1::1", "a 6to4 address"),
    ("3fff::1", "for documentation"),
    ("3fff:fff:ffff::1", "for documentation"),
    ("4000::1", "not global unicast"),
    ("5f00::1", "not global unicast"),
    ("fc00::1", "private (unique local)"),
    ("fd00:ec2::254", "a cloud metadata service"),
    ("fd20:ce::254", "a cloud metadata service"),
    ("fdff:ffff::1", "private (unique local)"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("feff::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
];

/// Real hosts, and the addresses right beside the blocks above.
#[rustfmt::skip]
const PUBLIC: &[&str] = &[
    "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "52.218.128.1", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0",
    "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
    "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2600:1f18::1",
    "2606:4700:4700::1111", "3ffe:ffff::1", "3fff:1000::1",
];

#[test]
fn special_addresses_are_refused_by_kind() {
    for (address, kind) in REFUSED {
        let found = check_public(address.parse().unwrap()).map_err(|refusal| refusal.kind);
        assert_eq!(found, Err(*kind), "{address}");
    }
}

#[test]
fn public_addresses_pass() {
    for address in PUBLIC {
        assert_eq!(check_public(address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[test]
fn the_refusal_names_address_and_block() {
    let text = check_public("10.1.2.3".parse().unwrap()).unwrap_err().to_string();
    assert!(
        text.contains("10.1.2.3") && text.contains("10.0.0.0/8, RFC 1918"),
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
