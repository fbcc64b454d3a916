//! Core dumps: a process holds card numbers while it uses them, so none is written unless somebody asks for it.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Forbids core dumps of this process. Only root can read its memory from now on.
///
/// # Errors
/// When the operating system refuses.
pub fn forbid() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
