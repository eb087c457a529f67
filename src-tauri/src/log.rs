//! The log: `logs/desktop.log` in the data directory, and the terminal when there is one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal},
    path::Path,
    sync::Mutex,
};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// A log that has grown longer is begun anew at the next start; the one before is kept.
const LONGEST: u64 = 4 << 20;

pub(crate) fn start(data_dir: &Path) {
    let to_file = open(&data_dir.join("logs"))
        .ok()
        .map(|file| fmt::layer().with_ansi(false).with_writer(Mutex::new(file)));
    let to_terminal = io::stderr().is_terminal().then(|| fmt::layer().with_writer(io::stderr));
    let filter =
        EnvFilter::try_from_env("MUSHER_LOG").unwrap_or_else(|_| EnvFilter::new("info,zbus=warn"));
    // Fails only when a log is there already.
    let _ = tracing_subscriber::registry().with(filter).with(to_file).with(to_terminal).try_init();
    keep_panics();
}

/// A program that was started from a menu has no terminal to read a panic on.
fn keep_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        before(panic);
    }));
}

fn open(dir: &Path) -> io::Result<File> {
    private_dir(dir)?;
    let path = dir.join("desktop.log");
    if path.metadata().is_ok_and(|meta| meta.len() > LONGEST) {
        fs::rename(&path, dir.join("desktop.log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The engine makes the data directory the same way; whoever is first must not make it readable.
fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
