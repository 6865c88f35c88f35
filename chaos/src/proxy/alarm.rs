//! A timer of the kernel (timerfd) as a future: tokio's own timer rounds up to its next millisecond, which would add
//! 1.1 ms to every delay.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// One timer, set to an instant of CLOCK_MONOTONIC.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set_for_ns: Option<u64>,
}

impl Alarm {
    /// A timer that isn't set. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain timerfd_create(2); the result is checked before it is owned.
        let fd = unsafe {
            let fd = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: the descriptor is owned by the AsyncFd itself and stays open and the same as long as it lives.
        let timer = unsafe { AsyncFd::register(fd)? };
        Ok(Self { timer, set_for_ns: None })
    }

    /// Returns when the clock has reached `at_ns`; may be cancelled and asked again.
    ///
    /// # Errors
    /// The kernel refused the timer.
    pub async fn wait_until(&mut self, at_ns: u64) -> io::Result<()> {
        if self.set_for_ns != Some(at_ns) {
            self.set(at_ns)?;
        }
        loop {
            let mut ready = self.timer.readable().await?;
            if ready.try_io(|timer| read(timer.get_ref())).is_ok() {
                self.set_for_ns = None;
                return Ok(());
            }
        }
    }

    fn set(&mut self, at_ns: u64) -> io::Result<()> {
        let seconds = libc::time_t::try_from(at_ns / 1_000_000_000).unwrap_or(libc::time_t::MAX);
        // All zeroes would disarm it; instant 0 has long passed, so 1 ns serves as well.
        let nanos = (at_ns % 1_000_000_000).max(u64::from(at_ns == 0)).cast_signed();
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec { tv_sec: seconds, tv_nsec: nanos };
        let spec = libc::itimerspec { it_interval: never, it_value: value };
        let fd = self.timer.get_ref().as_raw_fd();
        // SAFETY: a timerfd that we own and a valid itimerspec; no old value is asked for.
        let result = unsafe {
            libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &raw const spec, std::ptr::null_mut())
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        self.set_for_ns = Some(at_ns);
        Ok(())
    }
}

/// Takes the count of expiries, so that the timer is no longer readable.
fn read(timer: &OwnedFd) -> io::Result<()> {
    let mut count = [0_u8; 8];
    // SAFETY: the buffer is the eight bytes that timerfd_create(2) asks for.
    let read = unsafe { libc::read(timer.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    if read < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;

    #[tokio::test]
    async fn it_is_never_early_and_can_be_set_again() {
        let mut alarm = Alarm::new().unwrap();
        let begun = now_ns();
        alarm.wait_until(begun + 3_000_000).await.unwrap();
        assert!(now_ns() >= begun + 3_000_000);
        tokio::select! {
            _ = alarm.wait_until(begun + 60_000_000_000) => panic!("a minute has not passed"),
            () = std::future::ready(()) => {}
        }
        alarm.wait_until(0).await.unwrap();
        alarm.wait_until(begun).await.unwrap();
    }
}
