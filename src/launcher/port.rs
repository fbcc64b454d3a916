//! Reserves an address for the facade until the launcher ends, so that no other process can take it while the facade
//! restarts.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};

/// The longest wait for an address in use. The children of a killed launcher need up to half a second to end.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The time between two attempts.
const INTERVAL: Duration = Duration::from_millis(25);

/// A reserved address, which only this launcher's facade can share.
pub struct Port {
    /// The address, with the port that the operating system chose for port 0.
    pub address: SocketAddr,
    /// The socket that holds the port. It never listens.
    _reservation: Socket,
}

impl Port {
    /// Reserves an address.
    ///
    /// # Errors
    /// [`Error::Internal`] when another process uses it.
    pub fn reserve(address: SocketAddr) -> Result<Self> {
        let started = Instant::now();
        loop {
            match reserve(address) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && started.elapsed() < TIMEOUT => {
                    thread::sleep(INTERVAL);
                }
                reserved => {
                    return reserved.map_err(|error| Error::Internal(format!("cannot listen on {address}: {error}")));
                }
            }
        }
    }
}

fn reserve(address: SocketAddr) -> io::Result<Port> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without this, connections of an earlier facade in TIME_WAIT would make the bind fail.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // The bind was exclusive, so no other process has the address. From now on only sockets with SO_REUSEPORT can join.
    socket.set_reuse_address(false)?;
    socket.set_reuse_port(true)?;
    let address = socket.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?;
    Ok(Port { address, _reservation: socket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_ours_also_while_no_facade_listens() {
        let ours = reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(ours.address.port(), 0);
        assert_eq!(reserve(ours.address).err().unwrap().kind(), ErrorKind::AddrInUse);
        let facade = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        facade.set_reuse_address(true).unwrap();
        facade.set_reuse_port(true).unwrap();
        facade.bind(&ours.address.into()).unwrap();
        facade.listen(1).unwrap();
        assert_eq!(reserve(ours.address).err().unwrap().kind(), ErrorKind::AddrInUse);
    }
}
