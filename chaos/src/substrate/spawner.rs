//! The one thread that spawns every node.
//!
//! PR_SET_PDEATHSIG fires when the *thread* that spawned a child ends, not when its process does. A pool thread that
//! is reaped after some idle seconds would take a healthy node with it, so nodes are spawned from a thread that lives
//! exactly as long as the process.

use super::cage::Cage;
use crate::process;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

struct Order {
    command: Command,
    own_processes: bool,
    answer: Sender<io::Result<Child>>,
}

/// Spawns `command` in a process group of its own and in its cage, to be killed by the kernel when this process ends.
pub fn spawn(mut command: Command, cage: &Cage) -> io::Result<Child> {
    // A group of its own keeps the terminal's Ctrl-C away from nodes: the harness decides when they end.
    command.process_group(0);
    cage.close(&mut command)?;
    die_with_us(&mut command)?;
    let (answer, result) = channel();
    let gone = || io::Error::other("the spawning thread is gone");
    let order = Order { command, own_processes: cage.own_processes, answer };
    orders()?.send(order).map_err(|_| gone())?;
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
            let spawned = match order.own_processes {
                true => in_own_namespace(&mut order.command),
                false => order.command.spawn(),
            };
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

/// Spawns a child that is the first process of a namespace of its own: when it ends, however it ends, the kernel
/// ends all processes below it.
///
/// `unshare` moves no process: it says into which namespace this *thread's* next children go. Afterwards they go into
/// ours again.
///
/// Shared memory and semaphores of System V outlive those who made them: a namespace of those, too, ends with it.
fn in_own_namespace(command: &mut Command) -> io::Result<Child> {
    let kinds = [("pid", libc::CLONE_NEWPID), ("ipc", libc::CLONE_NEWIPC)];
    let open = |(name, kind)| Ok((std::fs::File::open(format!("/proc/thread-self/ns/{name}"))?, kind));
    let ours = kinds.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
    // SAFETY: flags and no memory; of this process it concerns this thread, which has no shared memory, and its future
    // children.
    if unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWIPC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let spawned = command.spawn();
    for (namespace, kind) in ours {
        // SAFETY: an open descriptor of our own namespace and its kind.
        if unsafe { libc::setns(namespace.as_raw_fd(), kind) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    spawned
}

fn die_with_us(command: &mut Command) -> io::Result<()> {
    let us = process::descriptor(std::process::id())?;
    // SAFETY: the closure runs between fork and exec and calls only async-signal-safe functions (prctl, poll);
    // it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before prctl took effect; then no signal would ever come. Its id would not
            // tell: in a namespace of processes every parent outside is 0.
            if has_ended(us.as_raw_fd()) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    Ok(())
}

/// True when the process of this descriptor has ended. Async-signal-safe.
fn has_ended(descriptor: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, which outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}
