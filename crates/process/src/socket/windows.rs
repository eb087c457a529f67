//! A named pipe of a name that cannot be guessed, which stands in the file `keeper.sock`.
//!
//! Windows' own rights for a pipe let everybody read from it and let administrators in. Ours names one
//! user: the keeper's. A pipe of our name that somebody made before is an error (interprocess opens the
//! first instance as the first), and other machines are turned away.

use std::{fmt::Write, fs, io, path::Path};

use interprocess::os::windows::{
    ToWtf16,
    named_pipe::{PipeListenerOptions, pipe_mode, tokio as pipes},
    security_descriptor::SecurityDescriptor,
};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use tokio::{
    io::{ReadHalf, WriteHalf},
    net::windows::named_pipe::{ClientOptions, NamedPipeClient},
};
use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;

use crate::files::SOCKET;

pub type Listener = pipes::PipeListener<pipe_mode::Bytes, pipe_mode::Bytes>;
/// The keeper's end of a connection.
pub type Accepted = pipes::DuplexPipeStream<pipe_mode::Bytes>;
pub type Stream = NamedPipeClient;
pub type Reader = ReadHalf<NamedPipeClient>;
pub type Writer = WriteHalf<NamedPipeClient>;

/// What a pipe holds of either direction.
const BUFFER: u32 = 64 << 10;

pub fn bind(dir: &Path) -> io::Result<Listener> {
    let name = fresh_name()?;
    let listener = PipeListenerOptions::new()
        .path(name.as_str())
        .security_descriptor(Some(for_own_user()?))
        .input_buffer_size_hint(BUFFER)
        .output_buffer_size_hint(BUFFER)
        .create_tokio_duplex::<pipe_mode::Bytes>()?;
    fs::write(dir.join(SOCKET), name)?;
    Ok(listener)
}

/// Not found: nobody listens. Would block: a keeper does, and is about to take the next one.
pub fn connect(dir: &Path) -> io::Result<Stream> {
    let name = fs::read_to_string(dir.join(SOCKET))?;
    ClientOptions::new().open(name).map_err(|error| {
        let busy = error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_PIPE_BUSY);
        if busy { io::ErrorKind::WouldBlock.into() } else { error }
    })
}

pub fn split(stream: Stream) -> (Reader, Writer) {
    tokio::io::split(stream)
}

fn fresh_name() -> io::Result<String> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = r"\\.\pipe\musher-".to_owned();
    for byte in random {
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

/// All rights for our own user and none for anybody else, nothing inherited (`P`); in Microsoft's
/// security descriptor definition language.
fn for_own_user() -> io::Result<SecurityDescriptor> {
    let user = own_user().ok_or_else(|| io::Error::other("our own user is not known"))?;
    let text = format!("D:P(A;;GA;;;{user})");
    let wide = text.as_str().to_wtf_16().map_err(io::Error::other)?;
    SecurityDescriptor::deserialize(&wide)
}

/// As `S-1-5-...`.
fn own_user() -> Option<String> {
    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_user(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
    Some(system.process(pid)?.user_id()?.to_string())
}
