//! A share of a core for one process, so that the other core can offer it many times what it takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Length of a scheduling period, microseconds: the kernel's default (Documentation/scheduler/sched-bwc of Linux).
const PERIOD_US: u64 = 100_000;

/// Holds a process to a share of a core until it is dropped.
pub struct Quota(PathBuf);

impl Quota {
    /// Puts a process in a control group of its own, version 1 or 2, with `percent` of one core.
    ///
    /// # Errors
    /// When control groups are not there or not ours to make.
    pub fn hold(pid: u32, percent: u64) -> Result<Self> {
        let one = Path::new("/sys/fs/cgroup/cpu");
        let (root, is_first) = if one.is_dir() { (one, true) } else { (Path::new("/sys/fs/cgroup"), false) };
        let group = root.join(format!("tracehound-bench-{pid}"));
        fs::create_dir(&group).with_context(|| format!("make {}", group.display()))?;
        let quota = Self(group);
        let quota_us = PERIOD_US * percent / 100;
        match is_first {
            true => quota.write("cpu.cfs_quota_us", &quota_us.to_string())?,
            false => quota.write("cpu.max", &format!("{quota_us} {PERIOD_US}"))?,
        }
        quota.write("cgroup.procs", &pid.to_string())?;
        Ok(quota)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // works once the process is gone, and there is nobody to tell when it does not
        let _ = fs::remove_dir(&self.0);
    }
}
