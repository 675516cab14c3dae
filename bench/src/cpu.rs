//! CPU time of a process and its descendants, from Linux's `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The CPU time that the living processes of a tree have used; none on a platform without `/proc`.
pub(crate) fn cpu_time(root: u32) -> Option<Duration> {
    let processes: BTreeMap<u32, Process> =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| read(&entry.path())).collect();
    let belongs = |mut pid: u32| loop {
        match processes.get(&pid) {
            _ if pid == root => return true,
            Some(process) if process.parent != pid => pid = process.parent,
            _ => return false,
        }
    };
    processes.get(&root)?;
    let ticks: u64 = processes.iter().filter(|(pid, _)| belongs(**pid)).map(|(_, process)| process.ticks).sum();
    Some(Duration::from_millis(ticks * TICK_MS))
}

struct Process {
    parent: u32,
    ticks: u64,
}

/// `proc_pid_stat(5)`: the name, in parentheses, may contain blanks; after it, the parent is the second field, user and
/// system time are the 12th and 13th.
fn read(folder: &std::path::Path) -> Option<(u32, Process)> {
    let pid = folder.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    Some((pid, Process { parent, ticks: number(11)? + number(12)? }))
}

/// `USER_HZ` is 100 on every architecture that Rust's Linux targets of tier 1 and 2 support.
const TICK_MS: u64 = 10;
