//! A proxy between a facade and a shard that holds back one direction or cuts connections, so that a test decides which
//! messages are lost.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The treatment of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All bytes pass.
    Pass,
    /// Bytes from the facade are held back.
    HoldRequests,
    /// Bytes from the shard are held back.
    HoldReplies,
    /// New connections are closed.
    Refuse,
}

/// A running proxy; its address stays the same.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    closing: bool,
    /// Both ends of every open connection.
    connections: Vec<[TcpStream; 2]>,
    /// The number of cuts. Bytes held back before a cut are lost.
    cuts: u64,
    held: Vec<u8>,
}

impl Proxy {
    /// Starts a proxy for a shard that listens on TCP.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let target = target.parse().expect("the shard listens on TCP");
        let state = State { mode: Mode::Pass, closing: false, connections: Vec::new(), cuts: 0, held: Vec::new() };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
        let accepting = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.lock().closing {
                    return;
                }
                // If the shard cannot be reached, the facade sees a broken connection.
                let _ = stream.and_then(|stream| accepting.open(stream));
            }
        });
        Proxy { address, shared }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes the treatment of bytes from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    /// True when the bytes held back contain a text.
    pub fn holds(&self, text: &str) -> bool {
        self.shared.lock().held.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// True when any bytes are held back.
    pub fn holds_anything(&self) -> bool {
        !self.shared.lock().held.is_empty()
    }

    /// Closes every connection, drops the bytes held back, and changes the treatment from now on.
    pub fn cut(&self, then: Mode) {
        let mut state = self.shared.lock();
        state.cut();
        state.mode = then;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        state.cut();
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the thread that accepts; when that fails it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn cut(&mut self) {
        self.cuts += 1;
        self.held.clear();
        for stream in self.connections.drain(..).flatten() {
            // An error means that the other side has closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(self: &Arc<Self>, facade: TcpStream) -> io::Result<()> {
        let mut state = self.lock();
        if state.mode == Mode::Refuse {
            return Ok(());
        }
        let shard = TcpStream::connect(self.target)?;
        for stream in [&facade, &shard] {
            stream.set_nodelay(true)?;
        }
        let cuts = state.cuts;
        let requests = (facade.try_clone()?, shard.try_clone()?);
        let replies = (shard.try_clone()?, facade.try_clone()?);
        state.connections.push([facade, shard]);
        drop(state);
        for (held_in, (from, to)) in [(Mode::HoldRequests, requests), (Mode::HoldReplies, replies)] {
            let shared = self.clone();
            thread::spawn(move || shared.pump(from, to, held_in, cuts));
        }
        Ok(())
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, held_in: Mode, cuts: u64) {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let mut state = self.lock();
            if state.mode == held_in {
                state.held.extend_from_slice(&buffer[..length]);
            }
            while state.mode == held_in && state.cuts == cuts {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.cuts != cuts {
                return;
            }
            drop(state);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            // One side is gone, so an error on the other does not matter.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
