//! CPU time from `/proc`.

use std::time::Duration;

use crate::Outcome;

/// What Linux counts in `/proc/<pid>/stat`; the same on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// One process's CPU time, user and system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) parent: u32,
    pub(crate) own: Duration,
    /// Of its children that have ended.
    pub(crate) ended: Duration,
}

pub(crate) fn of_process(pid: u32) -> Outcome<Used> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(") ").ok_or("no process in /proc")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Fields are numbered from the third on here: state is 0, the parent 1.
    let number = |index: usize| -> Outcome<u64> {
        let field = fields.get(index).ok_or("a field is missing in /proc")?;
        Ok(field.parse()?)
    };
    let ticks = |count: u64| Duration::from_millis(count * 1000 / TICKS_PER_SECOND);
    Ok(Used {
        parent: u32::try_from(number(1)?)?,
        own: ticks(number(11)? + number(12)?),
        ended: ticks(number(13)? + number(14)?),
    })
}

/// A process and all of its children, also those that have ended. For processes of one thread, to
/// the nanosecond where the kernel says it.
pub(crate) fn of_family(parent: u32) -> Outcome<Duration> {
    let used = of_process(parent)?;
    let mut sum = used.own + used.ended;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may end while we look.
        if let Ok(used) = of_process(pid)
            && used.parent == parent
        {
            sum += precise(pid).unwrap_or(used.own);
        }
    }
    Ok(sum)
}

fn precise(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanoseconds: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}
