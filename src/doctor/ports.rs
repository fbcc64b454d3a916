//! The addresses that a store listens on: free, or used by whom.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;

const AREA: &str = "port";
/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    pid: u32,
    name: String,
}

/// Looks at an address. `is_up` is true when a store answers; it may have the port itself.
pub fn port(address: SocketAddr, is_up: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(AREA, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => in_use(address, is_up, owner(address.port())),
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::PermissionDenied => "choose a port above 1023, or give the right CAP_NET_BIND_SERVICE",
                _ => "choose an address of this machine for --http or --kv",
            };
            Finding::wrong(AREA, format!("{address} cannot be listened on: {error}"), remedy)
        }
    }
}

fn in_use(address: SocketAddr, is_up: bool, owner: Option<Owner>) -> Finding {
    let is_ours = owner.as_ref().is_none_or(|owner| owner.name == env!("CARGO_PKG_NAME"));
    let by = owner.as_ref().map_or_else(
        || "by a process that this user may not see".into(),
        |Owner { pid, name }| format!("by {name}, process {pid}"),
    );
    match is_up && is_ours {
        true => Finding::good(AREA, format!("{address} is in use {by}: a store is running")),
        false => {
            let stop = owner.map_or_else(|| "stop what has it".to_owned(), |owner| format!("kill {}", owner.pid));
            Finding::wrong(
                AREA,
                format!("{address} is in use {by}"),
                format!("{stop}, or choose another --http or --kv"),
            )
        }
    }
}

/// The process that listens on a port, as far as this user may see it.
fn owner(port: u16) -> Option<Owner> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let links: Vec<_> =
        tables.iter().flat_map(|table| inodes(table, port)).map(|inode| format!("socket:[{inode}]")).collect();
    let processes =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let has_one = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.into_iter().any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    };
    let pid = processes.into_iter().find(has_one)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    Some(Owner { pid, name })
}

/// The inodes of sockets that listen on a port, in the text of `/proc/net/tcp`.
fn inodes(table: &str, port: u16) -> Vec<&str> {
    let inode = |line: &'_ str| -> Option<_> {
        let mut fields = line.split_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let (_, number) = local.rsplit_once(':')?;
        let is_it = state == LISTENS && u16::from_str_radix(number, 16) == Ok(port);
        is_it.then_some(())
    };
    table.lines().filter(|line| inode(line).is_some()).filter_map(|line| line.split_whitespace().nth(9)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_port_is_free_or_has_an_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(owner(address.port()).map(|owner| owner.pid), Some(std::process::id()));
        let finding = port(address, false);
        assert_eq!(finding.level, Level::Wrong);
        assert!(finding.text.contains(&std::process::id().to_string()), "{finding:?}");
        assert_eq!(port("203.0.113.1:80".parse().unwrap(), false).level, Level::Wrong);
    }

    #[test]
    fn the_port_of_a_store_that_answers_is_no_fault() {
        let address = "127.0.0.1:5000".parse().unwrap();
        let ours = |name: &str| Some(Owner { pid: 7, name: name.into() });
        assert_eq!(in_use(address, true, ours("shardcart")).level, Level::Good);
        assert_eq!(in_use(address, true, None).level, Level::Good);
        assert_eq!(in_use(address, true, ours("nginx")).level, Level::Wrong);
        assert_eq!(in_use(address, false, ours("shardcart")).level, Level::Wrong);
    }

    #[test]
    fn listeners_are_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
            1: 0100007F:1388 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n";
        assert_eq!(inodes(table, 5000), ["4711"]);
        assert!(inodes(table, 5001).is_empty());
    }
}
