//! Where a keeper listens: a Unix socket in the run's folder; on Windows a named pipe whose name stands
//! in the file of the same name.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{Listener, Reader, Stream, Writer, bind, connect, is_own_user, split};
#[cfg(windows)]
pub use windows::{Accepted, Listener, Reader, Stream, Writer, bind, connect, split};
