//! Finds requests whose target has a `#`. The parser of targets drops it with all behind it, so that `/items/a#b` would be
//! answered as `/items/a`. A target cannot have one: `%23` is meant. So the bytes as they came are looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Uri};

/// The most bytes that are kept of what a connection sent: more than a head.
const MAX_KEPT_BYTES: usize = 64 << 10;
/// The ends of a request line.
const VERSIONS: [&[u8]; 2] = [b" HTTP/1.1", b" HTTP/1.0"];

/// What a connection sent of late, if it has a `#`.
#[derive(Debug, Clone, Default)]
pub struct RawTargets(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// False while nothing is kept, so that most requests look no further.
    keeps: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// True when a request was looked for since the bytes came.
    is_seen: bool,
}

impl RawTargets {
    /// Notes bytes that came, before they are parsed.
    pub fn note(&self, bytes: &[u8]) {
        let has_hash = memchr::memchr(b'#', bytes).is_some();
        if !has_hash && !self.0.keeps.load(Ordering::Relaxed) {
            return;
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_seen && !ends_within_target(&kept.bytes) {
            *kept = Kept::default();
        }
        if has_hash || !kept.bytes.is_empty() {
            kept.bytes.extend_from_slice(bytes);
            let surplus = kept.bytes.len().saturating_sub(MAX_KEPT_BYTES);
            kept.bytes.drain(..surplus);
        }
        self.0.keeps.store(!kept.bytes.is_empty(), Ordering::Relaxed);
    }

    /// True when a request came with a `#` in its target.
    pub fn had_hash(&self, method: &Method, uri: &Uri) -> bool {
        if !self.0.keeps.load(Ordering::Relaxed) {
            return false;
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_seen = true;
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let lines = kept.bytes.split(|byte| *byte == b'\n').enumerate();
        let mut lines = lines.map(|(number, line)| (number == 0, line.strip_suffix(b"\r").unwrap_or(line)));
        lines.any(|(may_be_cut, line)| is_request_line(line, may_be_cut, method.as_str(), target))
    }
}

/// True when the last line is not whole yet and has a `#`.
fn ends_within_target(bytes: &[u8]) -> bool {
    bytes.rsplit(|byte| *byte == b'\n').next().is_some_and(|line| line.contains(&b'#'))
}

/// True for the line of a request with this method, and with a `#` behind this target. The beginning of a line that
/// `may_be_cut` can be missing.
fn is_request_line(line: &[u8], may_be_cut: bool, method: &str, target: &str) -> bool {
    let Some(hash) = line.iter().position(|byte| *byte == b'#') else { return false };
    let (before, behind) = line.split_at(hash);
    let ends_so = VERSIONS.iter().filter_map(|version| behind.strip_suffix(*version)).any(|hash| !hash.contains(&b' '));
    let is_whole = || before.starts_with(method.as_bytes()) && before.ends_with(target.as_bytes());
    let is_end = || may_be_cut && format!("{method} {target}").as_bytes().ends_with(before);
    ends_so && (is_whole() || is_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each request of these bytes, as they come, is found to have a `#`.
    fn found(reads: &[&str], target: &str) -> bool {
        let targets = RawTargets::default();
        reads.iter().for_each(|bytes| targets.note(bytes.as_bytes()));
        targets.had_hash(&Method::GET, &target.parse().unwrap())
    }

    #[test]
    fn a_hash_in_a_target_is_found_however_it_is_cut() {
        let request = "GET /items/a#b HTTP/1.1\r\nHost: test\r\n\r\n";
        for at in 0..request.len() {
            assert!(found(&[&request[..at], &request[at..]], "/items/a"), "{at}");
        }
        assert!(found(&["GET /items/a?x=1#b HTTP/1.0\n\n"], "/items/a?x=1"));
        assert!(found(&["GET http://test/items/a# HTTP/1.1\r\n"], "http://test/items/a"));
    }

    #[test]
    fn a_hash_elsewhere_is_no_matter() {
        assert!(!found(&["GET /items/a HTTP/1.1\r\nX: #\r\n\r\n"], "/items/a"));
        assert!(!found(&["PUT /kv/a HTTP/1.1\r\n\r\n# one", "GET /items/a HTTP/1.1\r\n"], "/items/a"));
        assert!(!found(&["GET /items/a HTTP/1.1\r\n\r\nGET /items/b#c HTTP/1.1\r\n\r\n"], "/items/a"));
    }

    #[test]
    fn what_was_seen_is_forgotten_and_what_is_not_whole_is_kept() {
        let targets = RawTargets::default();
        let asks = |target: &str| targets.had_hash(&Method::GET, &target.parse().unwrap());
        targets.note(b"GET /a HTTP/1.1\r\n\r\nGET /b#");
        assert!(!asks("/a"));
        targets.note(b"c HTTP/1.1\r\n\r\n");
        assert!(asks("/b"));
        targets.note(b"GET /b HTTP/1.1\r\n\r\n");
        assert!(!asks("/b") && !targets.0.keeps.load(Ordering::Relaxed));
        targets.note(&vec![b'#'; 2 * MAX_KEPT_BYTES]);
        assert_eq!(targets.0.kept.lock().unwrap().bytes.len(), MAX_KEPT_BYTES);
    }
}
