//! `cargo xtask test`: installs what is missing and runs every test there is, one part after the
//! other. A part that fails does not keep the next from running; the end lists the parts and names
//! what failed, and the last line counts all tests.

mod count;
mod failed;
mod live;
mod model_server;
mod parts;
mod session;

use anyhow::{Result, bail};
use std::env;

use crate::USAGE;
use session::Session;

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    live: bool,
    /// Never implied: the first time takes ten minutes.
    model_server: bool,
    window: bool,
    no_window: bool,
    filter: Option<String>,
}

pub fn command(args: &[String]) -> Result<()> {
    let mut options = parse(args)?;
    options.live |= env::var("CI").is_ok_and(|value| value == "true");
    let mut session = Session::new()?;
    match &options.filter {
        _ if options.window => parts::only_windows(&mut session, &options),
        Some(filter) => parts::filtered(&mut session, &options, filter),
        None => parts::all(&mut session, &options),
    }
    session.finish()
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    for arg in args {
        match arg.as_str() {
            "--live" => (options.live, options.model_server) = (true, true),
            "--window" => options.window = true,
            "--no-window" => options.no_window = true,
            filter if !filter.starts_with('-') && options.filter.is_none() => {
                options.filter = Some(filter.to_owned());
            }
            wrong => bail!("`{wrong}` is no option of `test`.\n\n{USAGE}"),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let read =
            |args: &[&str]| parse(&args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>());
        let wanted = Options {
            live: true,
            model_server: true,
            no_window: true,
            filter: Some("spool".into()),
            ..Options::default()
        };
        assert_eq!(read(&["--live", "spool", "--no-window"]).unwrap(), wanted);
        assert!(read(&["--lives"]).is_err());
        assert!(read(&["one", "two"]).is_err());
    }
}
