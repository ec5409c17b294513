//! The address of a client, which a trusted proxy forwards.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies that may say for whom they forward a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an IP address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidNetwork(pub(crate) String);

impl TrustedProxies {
    /// Reads addresses and networks, such as 192.0.2.7 and 10.0.0.0/8.
    ///
    /// # Errors
    /// The first text that is neither.
    pub(crate) fn read(texts: &[String]) -> Result<Self, InvalidNetwork> {
        let network = |text: &String| {
            let text = text.trim();
            let network = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
            network.map_err(|_| InvalidNetwork(text.to_owned()))
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is that of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client: of the connection, or the last one that a trusted proxy says and that is not itself such
    /// a proxy. Earlier ones can be forged. If `Forwarded` (RFC 7239) and `X-Forwarded-For` disagree, one of them comes from
    /// the client, and neither counts.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contains(peer) {
            return peer.to_canonical();
        }
        let said = |name: &HeaderName, read: fn(&str) -> Option<IpAddr>| {
            let is_present = headers.contains_key(name);
            is_present.then(|| self.last_untrusted(values(headers, name).map(read)))
        };
        let client = match (said(&FORWARDED, node), said(&X_FORWARDED_FOR, address)) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(client), Some(other)) if client == other => client,
            _ => None,
        };
        client.unwrap_or(peer)
    }

    /// The last address that is not a trusted proxy's. Nothing before an illegible one counts.
    fn last_untrusted(&self, addresses: impl DoubleEndedIterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut readable = addresses.rev().map_while(|address| address);
        readable.find(|address| !self.contains(*address))
    }
}

/// The elements of a header that is a list, in their order.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a str> {
    let texts: Vec<&str> = headers
        .get_all(name)
        .map(|value| value.to_str().unwrap_or_default())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    texts.into_iter()
}

/// The address of an element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`.
fn node(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    address(nodes.next()?.1.trim().trim_matches('"'))
}

/// An address, possibly with a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = IpAddr::from_str(plain.unwrap_or(text)).ok();
    address
        .or_else(|| SocketAddr::from_str(text).ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, given: &[(HeaderName, &str)]) -> String {
        let trusted = ["10.0.0.0/8".to_owned(), "2001:db8::7".to_owned()];
        let proxies = TrustedProxies::read(&trusted).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let forged = [(X_FORWARDED_FOR, "192.0.2.9")];
        assert_eq!(client("198.51.100.1", &forged), "198.51.100.1");
        for peer in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"] {
            assert_eq!(client(peer, &forged), "192.0.2.9");
        }
        assert_eq!(client("2001:db8::8", &forged), "2001:db8::8");
    }

    #[test]
    fn the_last_address_that_is_not_a_proxy_is_the_client() {
        for (given, expected) in [
            (
                vec![(X_FORWARDED_FOR, "1.1.1.1, 192.0.2.9, 10.0.0.1")],
                "192.0.2.9",
            ),
            (
                vec![(X_FORWARDED_FOR, "1.1.1.1"), (X_FORWARDED_FOR, "192.0.2.9:443")],
                "192.0.2.9",
            ),
            (vec![(X_FORWARDED_FOR, "1.1.1.1, nonsense, 10.0.0.1")], "10.0.0.9"),
            (vec![(X_FORWARDED_FOR, "10.0.0.1, 10.0.0.2")], "10.0.0.9"),
            (vec![(X_FORWARDED_FOR, "")], "10.0.0.9"),
            (vec![], "10.0.0.9"),
            (
                vec![(FORWARDED, "for=1.1.1.1, For=\"[2001:db8::1]:4711\";proto=https")],
                "2001:db8::1",
            ),
            (
                vec![(FORWARDED, "for=192.0.2.60;proto=http;by=203.0.113.43")],
                "192.0.2.60",
            ),
            (vec![(FORWARDED, "for=unknown")], "10.0.0.9"),
            (
                vec![(FORWARDED, "for=192.0.2.9"), (X_FORWARDED_FOR, "192.0.2.9")],
                "192.0.2.9",
            ),
            (
                vec![(FORWARDED, "for=1.1.1.1"), (X_FORWARDED_FOR, "192.0.2.9")],
                "10.0.0.9",
            ),
            (
                vec![(FORWARDED, "for=unknown"), (X_FORWARDED_FOR, "1.1.1.1")],
                "10.0.0.9",
            ),
            (
                vec![(FORWARDED, "for=1.1.1.1"), (X_FORWARDED_FOR, "10.0.0.3")],
                "10.0.0.9",
            ),
        ] {
            assert_eq!(client("10.0.0.9", &given), expected, "{given:?}");
        }
    }

    #[test]
    fn networks_are_addresses_with_or_without_a_length() {
        for wrong in ["proxy.example", "10.0.0.0/33", "", "10.0.0"] {
            let read = TrustedProxies::read(&[wrong.to_owned()]);
            assert_eq!(read.unwrap_err(), InvalidNetwork(wrong.to_owned()));
        }
        assert!(TrustedProxies::read(&[" 192.0.2.7 ".to_owned(), "2001:db8::/32".to_owned()]).is_ok());
    }
}
