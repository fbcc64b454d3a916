//! The limits of this process, which those of a store have as well: open files and memory.

use rustix::process::{Resource, getrlimit};

use super::finding::Finding;
use crate::process::memory as machine;

/// The descriptors that a facade needs beside its connections: for files, listeners and sessions with 64 shards.
const OTHER_DESCRIPTORS: u64 = 512;
/// The memory of a shard beside its records, in bytes.
const SHARD_BYTES: u64 = 100 << 20;

/// Looks at the limit of open files of a facade with so many connections.
pub fn descriptors(max_connections: usize) -> Finding {
    const AREA: &str = "descriptors";
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let needed = max_connections as u64 + OTHER_DESCRIPTORS;
    match limit >= needed {
        true => {
            Finding::good(AREA, format!("{limit} files may be open; {max_connections} connections need about {needed}"))
        }
        false => Finding::warning(
            AREA,
            format!("only {limit} files may be open, so that there will be fewer than {max_connections} connections"),
            format!(
                "LimitNOFILE={needed} in the unit of systemd, `ulimit -Hn {needed}` in a shell, or fewer --max-connections"
            ),
        ),
    }
}

/// Looks at the memory for so many shards, each of which takes at most `max_memory` bytes for its records.
pub fn memory(shards: u32, max_memory: u64) -> Finding {
    const AREA: &str = "memory";
    let Some(limit) = machine::limit() else {
        return Finding::warning(AREA, "the memory of this machine is not known", "set --max-memory");
    };
    let wanted = u64::from(shards) * (max_memory + SHARD_BYTES);
    let text = format!(
        "{} MiB, by the machine or a control group; {shards} shards may take {} MiB",
        limit >> 20,
        wanted >> 20
    );
    match wanted <= limit {
        true => Finding::good(AREA, text),
        false => Finding::warning(
            AREA,
            text,
            "choose a smaller --max-memory or fewer --shards, or the operating system may kill a shard",
        ),
    }
}
