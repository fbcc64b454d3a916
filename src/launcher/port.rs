//! Reserves an address for the facade, from before anything is started until the launcher ends: nobody else
//! can take it while the facade restarts.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};

/// The time limit of the wait for an address in use: the children of a launcher that was killed need up to
/// half a second to end.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The time between two attempts.
const INTERVAL: Duration = Duration::from_millis(25);

/// A reserved address, which only our facade can share.
pub struct Port {
    /// The address, with the port that the operating system chose where it was to.
    pub address: SocketAddr,
    /// Holds the port; it never listens.
    _reservation: Socket,
}

impl Port {
    /// Reserves an address that nobody has.
    ///
    /// # Errors
    /// [`Error::Internal`] when somebody has it.
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
    // Connections of an earlier facade that linger in TIME_WAIT do not count.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // It was bound alone, so nobody else has it; from now on only who shares it may join: the facade.
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
