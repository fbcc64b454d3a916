//! Card numbers stay out of core files, and each process overwrites its copies once the gateway has the number.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
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
/// The halves of a card's number. An allocator overwrites the first half of a block of 16 bytes that is freed.
const HALVES: [&str; 2] = ["97318642", "05317649"];
/// The bytes of a number, which are those of the block that holds it.
const BLOCK_BYTES: usize = 16;
const PAGE_BYTES: usize = 4_096;
const EMPTY_PAGE: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
/// The bytes before a number in JSON, and in a message between processes. Such copies are in the buffers of connections,
/// which are overwritten by the next messages.
const IN_BUFFERS: [u8; 2] = [b'"', 16];

/// The places in the writable memory of a process where a block of 16 bytes has, or had, the number. Returns `None` where
/// memory cannot be read, which only root can.
fn copies(pid: Pid) -> Option<Vec<String>> {
    let pid = pid.as_raw_pid();
    let memory = match File::open(format!("/proc/{pid}/mem")) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
        memory => memory.unwrap(),
    };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut copies = Vec::new();
    for area in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (start, end) = area.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // Areas that the kernel keeps for itself cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            for (number, page) in bytes.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| *page != EMPTY_PAGE) {
                let before = if number == 0 { 0 } else { bytes[number * PAGE_BYTES - 1] };
                copies.extend(copies_in(page, before));
            }
        }
    }
    Some(copies)
}

/// True for what the allocator writes into a free block: nothing, or the address of another block of 16 bytes.
fn is_pointer(bytes: &[u8]) -> bool {
    bytes[0].is_multiple_of(16) && bytes[6..] == [0; 2]
}

/// The blocks of a page that have, or had, the number.
fn copies_in(page: &[u8], before: u8) -> Vec<String> {
    let last_bytes = std::iter::once(before).chain(page.chunks_exact(BLOCK_BYTES).map(|block| block[BLOCK_BYTES - 1]));
    let is_copy = |block: &[u8], before: u8| {
        let (head, tail) = block.split_at(HALVES[0].len());
        let is_whole = head == HALVES[0].as_bytes() && !IN_BUFFERS.contains(&before);
        tail == HALVES[1].as_bytes() && (is_whole || is_pointer(head))
    };
    let blocks = page.chunks_exact(BLOCK_BYTES).zip(last_bytes);
    blocks
        .filter(|(block, before)| is_copy(block, *before))
        .map(|(block, _)| block.escape_ascii().to_string())
        .collect()
}

#[test]
fn no_process_keeps_a_copy_of_a_card_number() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    let card = HALVES.concat();
    for number in 0..4 {
        let body = json!({"id": 1, "quantity": 1, "card": card}).to_string();
        Client::new(launcher.shop()).put("/buy", &body).expect(200);
        let mut client = Client::new(launcher.shop());
        let call = client.call("POST", "/api/orders").header("X-API-Key", KEY).header("Idempotency-Key", "once");
        let body = order_of("alice", &["9780140449136"], &card);
        assert_eq!(call.json(&body).send().expect(201).is_replayed(), number > 0);
    }
    for role in launcher.children() {
        let copies = copies(role.pid).unwrap_or_default();
        assert!(copies.is_empty(), "{}: {copies:?}", role.arguments);
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
