//! A display for what opens windows here: an X server, a session bus and a window manager of their
//! own, which nobody sees and which end with it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::shell;

pub struct Display {
    server: Child,
    number: String,
    folder: PathBuf,
}

impl Display {
    pub fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("musher-display-{}", std::process::id()));
        for part in ["run", "data", "config", "cache"] {
            fs::create_dir_all(folder.join(part))?;
        }
        // The server finds a free number itself, so that two runs do not meet.
        let mut server = shell::command("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1440x960x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting Xvfb")?;
        let mut number = String::new();
        if let Some(output) = server.stdout.take() {
            BufReader::new(output).read_line(&mut number)?;
        }
        let display = Self { server, number: number.trim().to_owned(), folder };
        if display.number.is_empty() {
            bail!("Xvfb ended before it named its display.");
        }
        Ok(display)
    }

    /// The same command on this display, with a session bus and a window manager.
    pub fn on(&self, command: &Command) -> Command {
        const SCRIPT: &str = "openbox >/dev/null 2>&1 & \"$@\"; code=$?; kill $!; exit $code";
        let mut on = shell::command("dbus-run-session");
        on.args(["--", "sh", "-c", SCRIPT, "sh"]).arg(command.get_program());
        on.args(command.get_args());
        shell::same_surroundings(command, &mut on);
        on.env("DISPLAY", format!(":{}", self.number)).env("NO_AT_BRIDGE", "1");
        on.env_remove("WAYLAND_DISPLAY").env("GDK_BACKEND", "x11");
        for (name, part) in [
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            on.env(name, self.folder.join(part));
        }
        on
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Both are only tidying up: there is nothing to be done when they fail.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
