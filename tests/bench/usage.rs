//! What a process uses, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};

/// CPU seconds so far, user and system.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // fields 14 and 15 of proc(5), in clock ticks of 1/100 s
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Memory that is resident now, in MiB.
pub fn rss_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

/// The most memory that was resident since the start, or since [`forget_peak`], in MiB.
pub fn peak_rss_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

/// Lets the peak begin anew with what is resident now.
pub fn forget_peak(pid: u32) -> Result<()> {
    // 5 resets the peak and nothing else, see proc_pid_clear_refs(5)
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn status_mib(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).with_context(|| format!("the kernel says {name}"))?;
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).context("a number")?;
    Ok(kib / 1024.0)
}
