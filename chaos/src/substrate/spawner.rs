//! The one thread that spawns every node.
//!
//! PR_SET_PDEATHSIG fires when the *thread* that spawned a child ends, not when its process does. A pool thread that
//! is reaped after some idle seconds would take a healthy node with it, so nodes are spawned from a thread that lives
//! exactly as long as the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

struct Order {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// Spawns `command` in a process group of its own, to be killed by the kernel when this process ends.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_us(&mut command);
    let (answer, result) = channel();
    let gone = || io::Error::other("the spawning thread is gone");
    orders()?.send(Order { command, answer }).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

fn orders() -> io::Result<&'static Sender<Order>> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    if let Some(sender) = ORDERS.get() {
        return Ok(sender);
    }
    let (sender, receiver) = channel::<Order>();
    std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        for mut order in receiver {
            let spawned = order.command.spawn();
            if let Err(unwanted) = order.answer.send(spawned)
                && let Ok(mut child) = unwanted.0
            {
                // Whoever asked is gone: nobody would ever end this child.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    })?;
    // A second thread that lost the race idles with a closed channel and ends before it spawned anything.
    Ok(ORDERS.get_or_init(|| sender))
}

fn die_with_us(command: &mut Command) {
    let parent = std::process::id();
    // A group of its own keeps the terminal's Ctrl-C away from nodes: the harness decides when they end.
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec and calls only async-signal-safe functions (prctl, getppid);
    // it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before prctl took effect; then no signal would ever come.
            if libc::getppid().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}
