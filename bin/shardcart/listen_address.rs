//! The addresses that a facade listens on, as options: `--http` and `--kv`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use shardcart::error::{Error, Invalid};

/// Reads `HOST:PORT`. A name is resolved once, here. Of several addresses the first IPv4 one is taken, or else the
/// first: `localhost` is 127.0.0.1 even if ::1 is listed before it.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
        return Err("is not HOST:PORT".into());
    };
    let found = (host, port).to_socket_addrs().map_err(|error| format!("cannot resolve the host: {error}"))?;
    choose(&found.collect::<Vec<_>>()).ok_or_else(|| "the host has no address".into())
}

fn choose(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}

/// Checks that no two listeners need the same port of the same address.
///
/// # Errors
/// [`Error::Invalid`] that names both options.
pub fn check_distinct(http: &[SocketAddr], kv: Option<SocketAddr>) -> Result<(), Error> {
    let named: Vec<_> = http.iter().map(|address| ("--http", *address)).chain(kv.map(|kv| ("--kv", kv))).collect();
    for (position, (option, address)) in named.iter().enumerate() {
        if let Some((other, taken)) = named[..position].iter().find(|(_, earlier)| overlap(*earlier, *address)) {
            return Err(Invalid::general(format!("{option} {address}: the port is taken by {other} {taken}")).into());
        }
    }
    Ok(())
}

/// True when two listeners exclude each other. Port 0 never does, since it is a new port each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: IpAddr, ip: IpAddr| match all {
        // A listener on all IPv6 addresses takes IPv4 connections too.
        IpAddr::V6(all) => all.is_unspecified(),
        IpAddr::V4(all) => all.is_unspecified() && ip.is_ipv4(),
    };
    let (ip, other_ip) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (ip == other_ip || covers(ip, other_ip) || covers(other_ip, ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_read() {
        for text in ["127.0.0.1:5000", "0.0.0.0:0", "[::1]:80"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert!(parse("localhost:5000").unwrap().ip().is_loopback());
        for text in ["", "5000", ":5000", "localhost", "localhost:", "localhost:http", "127.0.0.1:70000"] {
            assert_eq!(parse(text), Err("is not HOST:PORT".into()), "{text}");
        }
    }

    #[test]
    fn of_several_addresses_the_first_ipv4_one_counts() {
        let [six, four, later] = ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!(choose(&[six, four, later]), Some(four));
        assert_eq!(choose(&[six]), Some(six));
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn two_listeners_on_one_port_are_both_named() {
        let check = |http: &[&str], kv: &str| {
            let http: Vec<_> = http.iter().map(|text| text.parse().unwrap()).collect();
            check_distinct(&http, Some(kv.parse().unwrap())).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["127.0.0.1:5000", "127.0.0.1:5001"], "127.0.0.1:3000"), Ok(()));
        assert_eq!(check(&["127.0.0.1:0", "127.0.0.1:0"], "127.0.0.1:0"), Ok(()));
        assert_eq!(check(&["127.0.0.1:5000", "127.0.0.2:5000"], "[::1]:5000"), Ok(()));
        let message = "--kv 127.0.0.1:5000: the port is taken by --http 127.0.0.1:5000";
        assert_eq!(check(&["127.0.0.1:5000"], "127.0.0.1:5000"), Err(message.into()));
        let message = "--http 127.0.0.1:5000: the port is taken by --http 127.0.0.1:5000";
        assert_eq!(check(&["127.0.0.1:5000", "127.0.0.1:5000"], "127.0.0.1:1"), Err(message.into()));
        for all in ["0.0.0.0:5000", "[::]:5000"] {
            assert!(check(&[all], "127.0.0.1:5000").is_err() && check(&["127.0.0.1:5000"], all).is_err(), "{all}");
        }
    }
}
