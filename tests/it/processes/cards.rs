//! Card numbers stay out of core files, and each process overwrites its copies once the gateway has the number.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::json;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, children_of};
use crate::harness::shop::{KEY, order_of};
use crate::harness::{Client, eventually};

/// A user without rights.
const NOBODY: u32 = 65_534;
/// The size of a page, and of its entry in the page map.
const PAGE_BYTES: u64 = 4_096;
const PAGE_ENTRY_BYTES: u64 = 8;
/// The number of bytes before and behind a copy that are shown.
const SHOWN_BYTES: usize = 100;
/// How often memory is searched until no copy is left.
const SCANS: usize = 20;
/// The halves of a card's number. An allocator overwrites the first bytes of a block that is freed.
const HALVES: [&str; 2] = ["97318642", "05317649"];

/// The places in the writable memory of a process that have the second half of the number, with what is around them.
/// Returns `None` where memory cannot be read, which only root can.
fn copies(pid: Pid) -> Option<Vec<String>> {
    let open = |name| match File::open(format!("/proc/{}/{name}", pid.as_raw_pid())) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
        file => Some(file.unwrap()),
    };
    let (memory, page_map) = (open("mem")?, open("pagemap")?);
    let maps = fs::read_to_string(format!("/proc/{}/maps", pid.as_raw_pid())).unwrap();
    let half = memchr::memmem::Finder::new(HALVES[1]);
    let mut copies = Vec::new();
    for area in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (start, end) = area.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut pages = vec![0; ((end - start) / PAGE_BYTES * PAGE_ENTRY_BYTES) as usize];
        page_map.read_exact_at(&mut pages, start / PAGE_BYTES * PAGE_ENTRY_BYTES).unwrap();
        let mut bytes = Vec::new();
        for (number, entry) in pages.chunks_exact(PAGE_ENTRY_BYTES as usize).enumerate() {
            let mut page = [0; PAGE_BYTES as usize];
            // The highest two bits: in memory, or swapped. Areas that the kernel keeps for itself cannot be read.
            if entry[7] >> 6 > 0 && memory.read_exact_at(&mut page, start + number as u64 * PAGE_BYTES).is_ok() {
                bytes.extend_from_slice(&page);
            }
        }
        copies.extend(half.find_iter(&bytes).map(|at| {
            let around = at.saturating_sub(SHOWN_BYTES)..bytes.len().min(at + SHOWN_BYTES);
            format!("{area}: {}", bytes[around].escape_ascii())
        }));
    }
    Some(copies)
}

/// True when the server has taken everything from its socket that came over this connection.
fn is_taken(stream: &TcpStream) -> bool {
    let [server, client] = [stream.peer_addr(), stream.local_addr()].map(|end| format!(":{:04X}", end.unwrap().port()));
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    // The columns: number, local address, remote address, state, bytes to be sent and bytes to be read.
    let mut connections = connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let connection = connections.find(|columns| columns[1].ends_with(&server) && columns[2].ends_with(&client));
    connection.unwrap()[4].ends_with(":00000000")
}

/// Sends these pieces over a connection of their own, each once the one before was taken, and returns the connection
/// with the status of the answer.
fn send(store: SocketAddr, pieces: &[&str]) -> (TcpStream, u16) {
    let mut stream = TcpStream::connect(store).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
        eventually("it is taken", || is_taken(&stream).then_some(()));
    }
    let status = status(&mut stream);
    (stream, status)
}

/// The status of the answer that comes next.
fn status(stream: &mut impl Read) -> u16 {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

#[test]
fn no_process_keeps_a_card_number() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    let card = HALVES.concat();
    let bought = json!({"id": 1, "quantity": 1, "card": card}).to_string();
    let head = |headers: &str| {
        let length = bought.len();
        format!(
            "PUT /buy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
        )
    };
    let (kept, closed) = (head(""), head("Connection: close\r\n"));
    let (first, second) = bought.split_at(bought.len() - 12);
    let mut client = Client::new(launcher.shop());
    for number in 0..2 {
        let call = client.call("POST", "/api/orders").header("X-API-Key", KEY).header("Idempotency-Key", "once");
        let body = order_of("alice", &["9780140449136"], &card);
        assert_eq!(call.json(&body).send().expect(201).is_replayed(), number > 0);
    }
    let refused = json!({"id": 1, "quantity": 0, "card": card}).to_string();
    Client::new(launcher.shop()).put("/buy", &refused).expect(400);
    let mut open = Vec::new();
    // The last one's buffer is used by no other.
    for (head, body) in [
        (&kept, vec![bought.as_str()]),
        (&kept, vec![first, second]),
        (&closed, vec![first, second]),
        (&closed, vec![bought.as_str()]),
    ] {
        let beginning = [head, body[0]].concat();
        let together = [&[beginning.as_str()], &body[1..]].concat();
        let apart = [&[head.as_str()], &body[..]].concat();
        for pieces in [apart, together] {
            let (stream, status) = send(launcher.shop(), &pieces);
            assert_eq!(status, 200);
            open.push(stream);
        }
    }
    let mut gateway = UnixStream::connect(directory.path().join("data/gateway/sock")).unwrap();
    let body = json!({"amount": 1, "card_number": card}).to_string();
    let (order, length) = (uuid::Uuid::new_v4(), body.len());
    let request = format!("PUT /payments/{order} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n\r\n{body}");
    gateway.write_all(request.as_bytes()).unwrap();
    assert_eq!(status(&mut gateway), 400);
    for role in launcher.children() {
        // A few times, since an answer is there before its connection has ended, and not for long: in time memory is used
        // for something else.
        let mut scans = (0..SCANS).map(|_| copies(role.pid).unwrap_or_default());
        let left = scans.find(Vec::is_empty).is_none();
        assert!(!left, "{}: {:?}", role.arguments, copies(role.pid));
    }
}

/// True when the memory of a process of an ordinary user is root's, so that no core file of it is written either.
fn is_guarded(pid: Pid) -> bool {
    fs::metadata(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap().uid() == 0
}

#[test]
fn no_process_writes_a_core_file_unless_that_is_wanted() {
    for wanted in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("shardcart");
        fs::copy(PROGRAM, &program).unwrap();
        let mut command = Command::new(&program);
        command.args(["launch", "--shards", "1", "--workers", "1", "--http", ANY_PORT, "--kv", ANY_PORT]);
        command.args(["--log-size", "32MiB"]).args(wanted.then_some("--allow-core-dumps"));
        if getuid().is_root() {
            // What is root's own cannot be told from what root guards.
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut launcher = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&launcher);
        let log = || fs::read_to_string(Path::new(directory.path()).join("log")).unwrap();
        for role in ["gateway", "shard", "facade"] {
            let is_as_wanted = || {
                let ended = launcher.try_wait().unwrap();
                assert!(ended.is_none(), "{ended:?}: {}", log());
                let children = children_of(pid);
                let child = children.iter().find(|child| child.arguments.contains(&format!(" {role} ")))?;
                (is_guarded(child.pid) != wanted).then_some(())
            };
            eventually(&format!("{role} is guarded, or not if that is wanted: {wanted}"), is_as_wanted);
        }
        assert_ne!(is_guarded(pid), wanted, "the launcher");
        kill_process(pid, Signal::TERM).unwrap();
        assert!(eventually("it ends", || launcher.try_wait().unwrap()).success(), "{}", log());
    }
}
