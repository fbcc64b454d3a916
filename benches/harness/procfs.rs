//! The processor time, resident memory and children of processes, from Linux's `/proc`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Result;

/// Memory of one process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// The resident pages, with shared pages counted in full.
    pub resident: u64,
    /// The resident pages, with shared pages divided among the processes that share them.
    pub proportional: u64,
    /// The greatest resident memory so far.
    pub peak: u64,
}

/// The processor time, user and system, that processes have used.
///
/// It is the sum of their threads' `schedstat`, which counts nanoseconds; `/proc/PID/stat` counts
/// ticks of 10 ms, too coarse for five processes in a short window. What a thread used is lost when
/// it ends.
///
/// # Errors
/// When a process is gone.
pub fn processor_time(processes: &[u32]) -> Result<Duration> {
    let mut nanoseconds = 0;
    for &process in processes {
        for task in fs::read_dir(path(process, "task")).map_err(|error| gone(process, &error))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().and_then(|on_core| on_core.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The processor time that this process has used, including ended threads.
pub fn own_processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}

/// The memory of a process.
///
/// # Errors
/// When the process is gone.
pub fn memory(process: u32) -> Result<Memory> {
    let read = |file| fs::read_to_string(path(process, file)).map_err(|error| gone(process, &error));
    let status = read("status")?;
    Ok(Memory {
        resident: kibibytes(&status, "VmRSS:"),
        proportional: kibibytes(&read("smaps_rollup")?, "Pss:"),
        peak: kibibytes(&status, "VmHWM:"),
    })
}

/// The ids of a process's children.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if parent_of(process) == Some(parent) {
            found.push(process);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The arguments of a process, the program's name first.
///
/// # Errors
/// When the process is gone.
pub fn arguments(process: u32) -> Result<Vec<String>> {
    let bytes = fs::read(path(process, "cmdline")).map_err(|error| gone(process, &error))?;
    Ok(bytes
        .split(|&byte| byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect())
}

fn path(process: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/{file}"))
}

fn gone(process: u32, error: &io::Error) -> super::Failure {
    format!("process {process} cannot be read: {error}").into()
}

/// The fourth field of `stat`; the second, the program's name, may hold anything but ends with the
/// last parenthesis.
fn parent_of(process: u32) -> Option<u32> {
    let text = fs::read_to_string(path(process, "stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

fn kibibytes(text: &str, field: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse::<u64>().ok());
    value.unwrap_or(0) * 1024
}
