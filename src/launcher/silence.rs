//! How long a child has been silent. One that lives and does not answer is restarted; one that loads is not, as long as
//! it works.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

/// The time between two looks at a child.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The silence of one child, counted in looks: while the launcher itself is stopped, no silence is counted.
pub struct Silence {
    pid: Option<Pid>,
    looks: u32,
    worked: u64,
}

impl Silence {
    /// Begins with a child that was just started.
    pub fn of(pid: Option<Pid>) -> Self {
        Silence { pid, looks: 0, worked: 0 }
    }

    /// Notes a line from the child.
    pub fn end(&mut self) {
        self.looks = 0;
    }

    /// Looks at the child, and returns how long it has been silent. A child that is still loading says nothing at times,
    /// so its work counts instead.
    pub fn look(&mut self, is_loading: bool) -> Duration {
        self.looks += 1;
        if is_loading {
            let worked = self.pid.and_then(ticks_of).unwrap_or_default();
            if worked != self.worked {
                self.worked = worked;
                self.looks = 0;
            }
        }
        LOOK_INTERVAL * self.looks
    }
}

/// The processor time that a process has used, in the system's ticks; `None` once it is gone.
fn ticks_of(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The name before may have spaces. The state is the third field of proc_pid_stat(5), utime and stime the 14th and 15th.
    let mut fields = text.rsplit_once(") ")?.1.split(' ').skip(14 - 3);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_in_looks_and_ends_with_a_line() {
        let mut silence = Silence::of(None);
        assert_eq!([silence.look(false), silence.look(false)], [LOOK_INTERVAL, LOOK_INTERVAL * 2]);
        silence.end();
        assert_eq!(silence.look(false), LOOK_INTERVAL);
    }

    #[test]
    fn work_while_it_loads_is_no_silence() {
        let pid = rustix::process::getpid();
        let before = ticks_of(pid).unwrap();
        let mut silence = Silence::of(Some(pid));
        silence.look(true);
        while ticks_of(pid).unwrap() < before + 2 {
            std::hint::spin_loop();
        }
        assert_eq!(silence.look(true), Duration::ZERO);
        assert!(silence.look(false) > Duration::ZERO);
    }
}
