//! What the operating system knows of this process: memory and CPU time, from `/proc` and the control groups.
//!
//! Elsewhere than on Linux every reading is `None`, and callers do without.
//!
//! **Invariants.** Reading never fails loudly: a file that is missing or odd is no reading.
//! **Not here.** What to do about it (`memory_limiter`).

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::time::Duration;

    /// Ticks a second of the times in `/proc/self/stat`: the kernel's `USER_HZ`, which is 100 on every architecture that
    /// Rust's tier 1 and 2 Linux targets run on; asking `sysconf` would take `unsafe`.
    const TICKS_PER_SECOND: u64 = 100;

    pub(super) fn resident_bytes() -> Option<u64> {
        parse_resident_kib(&fs::read_to_string("/proc/self/status").ok()?).map(|kib| kib << 10)
    }

    pub(super) fn cpu_time() -> Option<Duration> {
        parse_cpu_time(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    pub(super) fn total_bytes() -> Option<u64> {
        let machine = parse_meminfo(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let limit = limit_files(&groups)
            .iter()
            .filter_map(|file| parse_limit(&fs::read_to_string(file).ok()?))
            .min();
        Some(limit.map_or(machine, |limit| limit.min(machine)))
    }

    /// `VmRSS:     1234 kB`: exact pages without knowing their size, unlike `/proc/self/statm`.
    pub(super) fn parse_resident_kib(status: &str) -> Option<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// Fields 14 and 15; the second field may hold spaces and brackets, so counting starts behind its last bracket.
    pub(super) fn parse_cpu_time(stat: &str) -> Option<Duration> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis(
            user.saturating_add(system)
                .saturating_mul(1_000 / TICKS_PER_SECOND),
        ))
    }

    pub(super) fn parse_meminfo(meminfo: &str) -> Option<u64> {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }

    /// Where the limits may stand: version 2 of every group on the way up, version 1, and the roots that a container sees.
    pub(super) fn limit_files(groups: &str) -> Vec<String> {
        const V2: &str = "/sys/fs/cgroup";
        const V1: &str = "/sys/fs/cgroup/memory";
        let mut files = vec![
            format!("{V2}/memory.max"),
            format!("{V1}/memory.limit_in_bytes"),
        ];
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let (root, name) = if controllers.is_empty() {
                (V2, "memory.max")
            } else if controllers.split(',').any(|name| name == "memory") {
                (V1, "memory.limit_in_bytes")
            } else {
                continue;
            };
            let mut path = path.trim_end_matches('/');
            while !path.is_empty() && !path.contains("..") {
                files.push(format!("{root}{path}/{name}"));
                path = path.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        files
    }

    /// A number of bytes; `max`, or version 1's page-rounded maximum, is no limit.
    pub(super) fn parse_limit(text: &str) -> Option<u64> {
        let bytes: u64 = text.trim().parse().ok()?;
        (bytes > 0 && bytes < 1 << 60).then_some(bytes)
    }
}

/// Physical memory in use by this process, in bytes.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux::resident_bytes();
    #[cfg(not(target_os = "linux"))]
    None
}

/// Memory that this process may use: the smallest limit of its control groups, or the machine's memory, in bytes.
#[must_use]
pub fn total_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux::total_bytes();
    #[cfg(not(target_os = "linux"))]
    None
}

/// CPU time used by this process, in user and system mode.
#[must_use]
pub(super) fn cpu_time() -> Option<std::time::Duration> {
    #[cfg(target_os = "linux")]
    return linux::cpu_time();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::*;
    use std::time::Duration;

    #[test]
    fn this_process_has_memory_and_time() {
        let resident = super::resident_bytes().unwrap();
        let total = super::total_bytes().unwrap();
        assert!(
            resident > 1 << 20 && resident < total,
            "{resident} of {total}"
        );
        assert!(super::cpu_time().is_some());
    }

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b) c) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_cpu_time("42 (a"), None);
    }

    #[test]
    fn limits_are_looked_for_on_the_whole_way_up() {
        let files = limit_files("0::/kubepods/pod1/box\n5:cpu:/x\n9:foo,memory:/docker/abc\n");
        for file in [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/kubepods/pod1/box/memory.max",
            "/sys/fs/cgroup/kubepods/memory.max",
            "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
        ] {
            assert!(
                files.contains(&file.to_owned()),
                "{file} is not in {files:?}"
            );
        }
        assert!(!files.iter().any(|file| file.contains("/x/")));
        assert!(limit_files("0::/../../escape").len() == 2);
    }

    #[test]
    fn no_limit_is_not_a_number() {
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit("536870912\n"), Some(536_870_912));
        assert_eq!(
            parse_meminfo("MemTotal:  1024 kB\nMemFree: 1 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(parse_resident_kib("Name: a\nVmRSS:\t  77 kB\n"), Some(77));
    }
}
