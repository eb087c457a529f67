//! The desktop shell: a window, a tray icon and notifications around one engine. The only code that
//! names Tauri, and deliberately thin: every command is `musher_api`'s, every decision about a run is
//! the engine's.
//!
//! Order of a start: arguments; the engine opens in the background while GTK comes up; the window is
//! made; commands of the page wait until the engine is open. When another Musher holds the data
//! directory, that one is asked to come forward and this one ends.

mod args;
mod desk;
mod dialog;
mod drop;
mod host;
mod log;
mod news;
mod notices;
mod notify;
mod page;
mod rpc;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
mod shell;
mod start;
mod tray;
mod tray_host;
#[cfg(target_os = "linux")]
mod webkit;
mod window;

use std::{process::ExitCode, sync::Arc, time::Duration};

use musher_protocol::ApiError;
use tauri::{App, Manager, RunEvent};

use crate::{args::Args, shell::Shell, start::Opening};

/// The end waits this long for the engine to let go; its agents go on in their keepers.
const END_LIMIT: Duration = Duration::from_millis(1_500);

/// Runs until the person quits.
pub fn run() -> ExitCode {
    let args = Args::parse();
    match args.data_dir().and_then(|data_dir| with_data_dir(&args, data_dir)) {
        Ok(code) => code,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn with_data_dir(args: &Args, data_dir: std::path::PathBuf) -> Result<ExitCode, ApiError> {
    #[cfg(target_os = "linux")]
    {
        webkit::choose_renderer();
        window::open_display()?;
    }
    log::start(&data_dir);
    tracing::debug!("begins");
    let runtime = start::runtime()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let opening = start::open(runtime.handle(), data_dir, args.folders());
    let app =
        build(opening).map_err(|error| start::failed("The window could not be made", &error))?;
    let handle = app.handle().clone();
    let code = app.run_return(on_event);
    if let Some(shell) = handle.try_state::<Arc<Shell>>() {
        let ended = shell.end();
        runtime.block_on(async { tokio::time::timeout(END_LIMIT, ended).await.ok() });
    }
    // What still waits (a login shell, a page's request) must not hold the end.
    runtime.shutdown_background();
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn build(opening: Opening) -> tauri::Result<App> {
    tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![rpc::rpc, rpc::news, rpc::ready, rpc::shows])
        .setup(move |app| {
            Shell::begin(app, opening)?;
            Ok(())
        })
        .build(tauri::generate_context!())
}

fn on_event(app: &tauri::AppHandle, event: RunEvent) {
    match event {
        RunEvent::WindowEvent { label, event, .. } if label == window::LABEL => {
            window::on_event(app, &event);
        }
        RunEvent::MenuEvent(event) => tray::on_menu(app, event.id().as_ref()),
        _ => {}
    }
}

/// To the terminal the program was started from, if any.
fn say(error: &ApiError) {
    eprintln!("{}", error.message);
    if let Some(hint) = &error.hint {
        eprintln!("{hint}");
    }
}
