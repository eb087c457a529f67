//! Musher with a window.

// No console window beside it on Windows.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

fn main() -> std::process::ExitCode {
    musher_desktop::run()
}
