//! Takes our own faults from a proxy; those of others stay.

use crate::proxy::client::{Connect, Control, ControlError};
use crate::substrate::link::block_on;

/// What was done to a proxy.
pub struct Done<'a> {
    pub control: &'a str,
    pub proxy: &'a str,
    pub toxics: &'a [String],
    pub connect: bool,
    pub enable: bool,
    pub ends_with_owner: bool,
}

pub fn undo(done: &Done<'_>) -> Result<String, String> {
    match block_on(take_off(done)) {
        Ok(()) => Ok(format!("proxy {} is free of it", done.proxy)),
        Err(ControlError::Unreachable { .. }) if done.ends_with_owner => {
            Ok(format!("proxy {} is gone with its run", done.proxy))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Each call reads back what it has set.
async fn take_off(done: &Done<'_>) -> Result<(), ControlError> {
    let control = Control::new(done.control)?;
    for toxic in done.toxics {
        control.remove_toxic(done.proxy, toxic).await?;
    }
    if done.connect {
        control.set_connect(done.proxy, Connect::Accept).await?;
    }
    if done.enable {
        control.set_enabled(done.proxy, true).await?;
    }
    Ok(())
}
