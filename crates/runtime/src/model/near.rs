//! Which servers are reached without a proxy: those of this machine and of networks of one's own. A
//! proxy of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, but for `NO_PROXY`) is for the
//! rest: it knows no `localhost` but its own, and what is asked of a local model is nobody else's.

use std::{net::IpAddr, time::Duration};

use reqwest::{Client, ClientBuilder, Url, redirect};
use url::Host;

/// What names of one's own end in: RFC 6761 (`localhost`), 6762 (`local`), 8375 (`home.arpa`), ICANN's
/// `internal` (2024), and `lan` and `home`, which routers give.
const OWN: [&str; 6] = ["localhost", "local", "home.arpa", "internal", "lan", "home"];

/// A client for this server. A key would follow a redirect to wherever it leads, so none is followed.
pub fn client(server: &Url, connect: Duration) -> ClientBuilder {
    let client = Client::builder()
        .connect_timeout(connect)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("musher/", env!("CARGO_PKG_VERSION")));
    if is_near(server) { client.no_proxy() } else { client }
}

/// Whether it is on this machine or in a network of one's own, as far as its name tells.
pub fn is_near(server: &Url) -> bool {
    match server.host() {
        Some(Host::Ipv4(ip)) => is_own(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_own(ip.to_canonical()),
        Some(Host::Domain(name)) => is_own_name(name),
        None => false,
    }
}

fn is_own(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
        }
    }
}

/// A name without a dot is one of the own network, too.
fn is_own_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ends = |own: &&str| name.strip_suffix(*own).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || OWN.iter().any(ends)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(host: &str) -> bool {
        is_near(&Url::parse(&format!("http://{host}:8080/v1")).unwrap())
    }

    #[test]
    fn what_is_one_s_own_is_near_and_nothing_else() {
        for own in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.1",
            "127.8.9.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.1",
            "192.168.1.7",
            "169.254.1.1",
            "[fd00::7]",
            "[fe80::1]",
            "gpu-box",
            "ollama",
            "models.localhost",
            "mac.local",
            "nas.home.arpa",
            "host.docker.internal",
            "box.lan",
        ] {
            assert!(near(own), "{own}");
        }
        for far in [
            "api.openai.com",
            "generativelanguage.googleapis.com",
            "8.8.8.8",
            "172.32.0.1",
            "192.169.1.1",
            "11.0.0.1",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "localhost.example.com",
            "notlocal",
            "mylocal.net",
            "evil-local.com",
            "x.notlocal",
        ] {
            // One word is a name of the own network.
            assert_eq!(near(far), !far.contains(['.', ':']), "{far}");
        }
    }
}
