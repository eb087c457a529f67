//! `musher`: the engine without a window.
//!
//! A command talks to the engine that holds the data directory, or runs one for its own duration.
//! Stdout carries what was asked for and nothing else; logs and errors go to stderr. Exit codes:
//! 0 completed, 1 failed, 2 usage, 3 a limit, 4 stopped, 5 needs an answer that nobody can give.

mod args;
mod ask;
mod desk;
mod doctor;
mod follow;
mod held;
mod keys;
mod mcp;
mod print;
mod reach;
mod rules;
mod runs;
mod serve;
mod show;
mod typed;
mod words;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use musher_protocol::{ApiError, ErrorCode};

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr();
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: Musher could not start its threads: {error}.");
                return ExitCode::FAILURE;
            }
        };
    // A login shell or a slow disk must not hold up the end; a server's own input never comes to one.
    let patience = if matches!(args.command, Command::Mcp { .. }) { 0 } else { 1 };
    let ended = runtime.block_on(run(args));
    runtime.shutdown_timeout(std::time::Duration::from_secs(patience));
    match (ended, print::failure()) {
        (Err(error), _) | (Ok(_), Some(error)) => complain(&error),
        (Ok(code), None) => code,
    }
}

async fn run(args: Args) -> Result<ExitCode, ApiError> {
    let data_dir = args.data_dir()?;
    let json = args.json;
    match args.command {
        Command::Run(wanted) => runs::run(&data_dir, json, *wanted).await,
        Command::Resume(wanted) => runs::resume(&data_dir, json, *wanted).await,
        Command::Send { run, text, steer } => runs::send(&data_dir, json, &run, text, steer).await,
        Command::Answer { run, request, answer, message } => {
            runs::answer(&data_dir, &run, &request, answer, message).await
        }
        Command::Stop { run } => runs::stop(&data_dir, json, &run).await,
        Command::Runs => show::runs(&data_dir, json).await,
        Command::Events { run, from, follow } => {
            show::events(&data_dir, json, &run, from, follow).await
        }
        Command::Worktrees { dir } => show::worktrees(&data_dir, json, &dir).await,
        Command::Remove { worktree, force } => {
            runs::remove(&data_dir, json, &worktree, force).await
        }
        Command::Keys { command } => keys::keys(&data_dir, json, command).await,
        Command::Rules { dir, command } => rules::rules(&data_dir, json, &dir, command).await,
        Command::Doctor(look) => doctor::doctor(&data_dir, json, look).await,
        Command::Serve { port, page } => serve::serve(&data_dir, port, page).await,
        Command::Mcp { run_dir } => mcp::mcp(&run_dir).await,
    }
}

fn complain(error: &ApiError) -> ExitCode {
    eprintln!("error: {}", error.message);
    if let Some(hint) = &error.hint {
        eprintln!("hint: {hint}");
    }
    match error.code {
        ErrorCode::BadRequest => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MUSHER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
}
