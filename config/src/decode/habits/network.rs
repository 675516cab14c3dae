//! Networks as in other formats: with a mask, a `*`, or as a range.

use std::net::Ipv4Addr;

use tollgate_core::guard::Cidr;

use super::EXAMINED_BYTES_MAX;
use crate::diagnostic::listed;
use crate::source::Value;

/// For the address that stands for all addresses when listening: the network of all addresses.
pub(in crate::decode) fn everywhere(text: &str) -> Option<&'static str> {
    match text {
        "0.0.0.0" => Some("0.0.0.0/0"),
        "::" => Some("::/0"),
        _ => None,
    }
}

/// What to write instead of a network that is refused.
pub(in crate::decode) fn fix(text: &str) -> Option<String> {
    let networks = meant(text)?;
    Some(format!("write {}", listed(networks.iter().map(String::as_str))))
}

/// What to write instead of trusted proxies of another type.
pub(crate) fn proxies_fix(value: &Value) -> String {
    match value {
        Value::Text(count) if count.parse::<u8>().is_ok() => format!("write `{count}` without quotes"),
        Value::Text(network) if network.parse::<Cidr>().is_ok() => format!("write the list `[\"{network}\"]`"),
        _ => "list the networks of the proxies, such as `[10.0.0.0/8]`, or write how many of them every request passes, such as `1`"
            .to_owned(),
    }
}

/// The networks that were probably meant by a text that is none.
pub(super) fn meant(text: &str) -> Option<Vec<String>> {
    if text.len() > EXAMINED_BYTES_MAX {
        return None;
    }
    let known: &[&str] = match text.to_ascii_lowercase().as_str() {
        "*" | "all" | "any" => &["0.0.0.0/0", "::/0"],
        "localhost" | "loopback" => &["127.0.0.0/8", "::1"],
        "linklocal" | "link-local" => &["169.254.0.0/16", "fe80::/10"],
        "private" | "private_ranges" | "uniquelocal" => &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        _ => &[],
    };
    if !known.is_empty() {
        return Some(known.iter().map(|network| (*network).to_owned()).collect());
    }
    let one = everywhere(text).map(str::to_owned).or_else(|| masked(text)).or_else(|| starred(text));
    one.or_else(|| range(text)).map(|network| vec![network])
}

/// `10.0.0.0/255.0.0.0`.
fn masked(text: &str) -> Option<String> {
    let (address, mask) = text.split_once('/')?;
    let (address, mask) = (address.trim().parse().ok()?, u32::from(mask.trim().parse::<Ipv4Addr>().ok()?));
    (mask.leading_ones() + mask.trailing_zeros() == 32).then(|| network(address, mask.leading_ones()))
}

/// `10.0.*.*` or `10.0.*`.
fn starred(text: &str) -> Option<String> {
    let fixed: Vec<&str> = text.split('.').take_while(|part| *part != "*").collect();
    let rest = text.split('.').skip(fixed.len());
    let is_valid =
        (1..4).contains(&fixed.len()) && rest.clone().count() > 0 && rest.into_iter().all(|part| part == "*");
    let numbers: Vec<u8> = fixed.iter().map_while(|part| part.parse().ok()).collect();
    if !is_valid || numbers.len() != fixed.len() {
        return None;
    }
    let octet = |place: usize| numbers.get(place).copied().unwrap_or_default();
    let bits = u32::try_from(numbers.len() * 8).ok()?;
    Some(network(Ipv4Addr::new(octet(0), octet(1), octet(2), octet(3)), bits))
}

/// `10.0.0.0-10.0.0.255`, if it is one network.
fn range(text: &str) -> Option<String> {
    let (from, to) = text.split_once('-')?;
    let [from, to] = [from, to].map(|part| part.trim().parse::<Ipv4Addr>().ok().map(u32::from));
    let (from, to) = (from?, to?);
    let different = from ^ to;
    let is_network = different & different.wrapping_add(1) == 0 && from & different == 0 && from <= to;
    is_network.then(|| network(Ipv4Addr::from(from), different.leading_zeros()))
}

/// The network of an address, with all bits after the prefix zero.
fn network(address: Ipv4Addr, bits: u32) -> String {
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or_default();
    format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_other_formats_are_converted() {
        for (text, meant) in [
            ("10.0.0.0/255.0.0.0", "`10.0.0.0/8`"),
            ("10.1.2.3/255.255.0.0", "`10.1.0.0/16`"),
            ("10.0.*.*", "`10.0.0.0/16`"),
            ("192.168.1.*", "`192.168.1.0/24`"),
            ("10.0.0.0-10.0.0.255", "`10.0.0.0/24`"),
            ("10.0.0.0 - 10.255.255.255", "`10.0.0.0/8`"),
            ("0.0.0.0-255.255.255.255", "`0.0.0.0/0`"),
            ("any", "`0.0.0.0/0` and `::/0`"),
            ("localhost", "`127.0.0.0/8`"),
        ] {
            assert!(fix(text).is_some_and(|fix| fix.contains(meant)), "{text}: {:?}", fix(text));
        }
        for text in
            ["10.0.0.1-10.0.0.255", "10.0.0.0/255.0.255.0", "a.*", "10.*.1.*", "", "-", "/", "10.0.0.9-10.0.0.1"]
        {
            assert_eq!(fix(text), None, "{text}");
        }
    }
}
