//! The clock of the execution ids: it follows a time server in the background, and no request waits for that.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Setup, Store, eventually};

const ANSWERS: &str = "the time server answers";
const SILENT: &str = "the time server does not answer";
const PACKET_BYTES: usize = 48;
/// The seconds from 1900, the epoch of NTP, to 1970.
const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;
/// The offset of the test's time server.
const AHEAD: Duration = Duration::from_millis(3_600_500);

/// A time in NTP's format: seconds, and fractions of 2^-32 s.
fn timestamp(time: SystemTime) -> [u8; 8] {
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    let seconds = (since.as_secs() + UNIX_EPOCH_SECONDS) << 32;
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds | fraction).to_be_bytes()
}

/// Answers every question as a server of this stratum whose clock is ahead (RFC 4330, section 4). Stratum 0 is a kiss
/// of death.
fn server(stratum: u8) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut packet = [0; PACKET_BYTES];
        while let Ok((PACKET_BYTES, client)) = socket.recv_from(&mut packet) {
            let now = timestamp(SystemTime::now() + AHEAD);
            let sent = packet[40..].to_vec();
            packet.fill(0);
            // No leap second, version 4, a server.
            (packet[0], packet[1]) = (0x24, stratum);
            packet[12..16].copy_from_slice(if stratum == 0 { b"DENY" } else { b"TEST" });
            packet[24..32].copy_from_slice(&sent);
            packet[32..40].copy_from_slice(&now);
            packet[40..].copy_from_slice(&now);
            socket.send_to(&packet, client).unwrap();
        }
    });
    address
}

fn follow(server: &str) -> Store {
    Setup::new(1).facade_options(&["--ntp-server", server]).start()
}

#[test]
fn the_clock_is_corrected_by_what_a_server_says() {
    let store = follow(&server(1));
    let log = eventually("the server has answered", || {
        let log = store.facade.process.log();
        log.contains(ANSWERS).then_some(log)
    });
    let (_, offset) = log.split_once("offset_seconds=").unwrap();
    let offset: f64 = offset.split_whitespace().next().unwrap().parse().unwrap();
    // On a busy machine the answer may be slow, and half of the delay counts as offset.
    assert!((offset - AHEAD.as_secs_f64()).abs() < 1.5, "{offset}");
    store.client().get("/find/a/b/c").execution_id();
    assert!(!log.contains(SILENT), "{log}");
}

#[test]
fn without_an_answer_the_systems_clock_counts_and_a_warning_says_so_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap().to_string();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for server in [silent_address, nobody, server(0)] {
        let store = follow(&server);
        // Also while the question is still open.
        store.client().get("/find/a/b/c").execution_id();
        eventually("a warning", || store.facade.process.log().contains(SILENT).then_some(()));
        store.client().get("/find/a/b/c").execution_id();
        let log = store.facade.process.log();
        assert!(log.matches(SILENT).count() == 1 && !log.contains(ANSWERS), "{log}");
    }
}
