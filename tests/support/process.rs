//! Child processes whose output is kept and which end with their owner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::support::wait::eventually;

/// How much of a log is printed when a test fails.
const TAIL_BYTES: usize = 8 * 1024;

/// A running program; dropping it ends it by its process id.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with both outputs going to `NAME.log` in the folder.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).expect("a log file");
        let err = out.try_clone().expect("a second handle of the log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Process {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// What it wrote so far, both outputs in one.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in bytes, where the system tells (Linux).
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The most that it ever had resident, in bytes, where the system tells (Linux).
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When the system does not know the process.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child process of ours")
    }

    /// Sends a signal by name: `TERM`, `INT`, `HUP`, `STOP`, `CONT`, `KILL`.
    ///
    /// # Panics
    /// When `kill` is not there or the process has gone.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status()
            .expect("the program `kill`");
        assert!(sent.success(), "{} took no {signal}", self.name);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When the deadline passes first.
    pub async fn finished(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let this = std::cell::RefCell::new(self);
        eventually(&what, deadline, || async { this.borrow_mut().ended() }).await
    }

    /// Asks it to stop (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// When it does not end within the deadline.
    pub async fn stopped(&mut self, deadline: Duration) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.signal("TERM");
        self.finished(deadline).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // errors mean that it has ended already
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let from = log.ceil_char_boundary(log.len().saturating_sub(TAIL_BYTES));
            eprintln!("── log of {} ──\n{}", self.name, &log[from..]);
        }
    }
}
