//! Reserves free TCP ports against other test processes.
//!
//! Asking the kernel for port 0 and closing it again hands out ephemeral ports: any outgoing connection may take
//! them before the broker listens, or while it is down for a restart. So the ports are below 32768 (where Linux
//! starts the ephemeral ones), and each is reserved by a locked file until this process ends.

use std::{env, fs, fs::File, net::TcpListener};

use parking_lot::Mutex;

use crate::{Error, Result, failed};

const FIRST: u16 = 20_000;
const LAST: u16 = 32_767;

/// The locks behind the ports that this process has been given; the kernel releases them when it ends.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port on which nothing listens, and that stays reserved for this process until it ends.
pub fn free() -> Result<u16> {
    // Not in the cache folder: other checkouts and users share the ports, so they must share the locks.
    let locks = env::temp_dir().join("xact-pipeline-ports");
    fs::create_dir_all(&locks).map_err(Error::io(format!("create {}", locks.display())))?;
    let count = LAST - FIRST + 1;
    // Processes that start together must not all try the same ports one after another.
    let start = fastrand::u16(0..count);
    for port in (0..count).map(|step| FIRST + (start + step) % count) {
        let Ok(file) = File::create(locks.join(port.to_string())) else {
            continue;
        };
        if file.try_lock().is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok() {
            RESERVED.lock().push(file);
            return Ok(port);
        }
    }
    Err(failed(
        format!("no free port from {FIRST} to {LAST}"),
        format!("another user may own the lock files: delete {}", locks.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_returned_only_once() -> Result<()> {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free()).collect::<Result<_>>()?;
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| (FIRST..=LAST).contains(port)));
        Ok(())
    }
}
