//! `musher serve`: the engine for a browser, or for other programs on this machine.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use musher_api::serve::serve_tcp;
use musher_protocol::{ApiError, ErrorCode};

use crate::{print, reach::Own};

/// Serves until it is interrupted. Agents live on in their keepers.
pub async fn serve(
    data_dir: &Path,
    port: Option<u16>,
    page: Option<PathBuf>,
) -> Result<ExitCode, ApiError> {
    let page = port.map(|_| page_dir(page)).transpose()?;
    let own = Own::open_to_stay(data_dir).await?;
    let ended = interrupted();
    tokio::pin!(ended);
    // Who reads that it serves may end it at once: the signal must be heard by then.
    let is_ended = tokio::select! {
        biased;
        () = &mut ended => true,
        () = std::future::ready(()) => false,
    };
    print::line(&format!("socket {}", data_dir.join("engine.sock").display()));
    let tcp = match port.zip(page) {
        Some((port, page)) => {
            let (info, serving) = serve_tcp(own.api.clone(), port, &page).await?;
            print::line(&info.url);
            Some(serving)
        }
        None => None,
    };
    if !is_ended {
        ended.await;
    }
    if let Some(tcp) = tcp {
        tcp.end().await;
    }
    own.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The page as named, else the one that came with this program.
fn page_dir(named: Option<PathBuf>) -> Result<PathBuf, ApiError> {
    let candidates = match named {
        Some(dir) => vec![dir],
        None => own_pages(std::env::current_exe().and_then(|exe| exe.canonicalize())),
    };
    let found = candidates.into_iter().find(|dir| dir.join("index.html").is_file());
    found.ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, "The built page was not found.")
            .with_hint("Build it with `npm run build` in ui/, or name its folder with --page.")
    })
}

/// Where a package puts the page, then where a checkout builds it. The page gets the key to
/// everything, so it must have come with the program: the folder that somebody stands in counts for
/// nothing.
fn own_pages(exe: std::io::Result<PathBuf>) -> Vec<PathBuf> {
    let Ok(exe) = exe else { return Vec::new() };
    // Of `<prefix>/bin/musher`, or of `<checkout>/target/debug/musher`.
    let Some(prefix) = exe.parent().and_then(Path::parent) else { return Vec::new() };
    let packaged = prefix.join("lib/Musher/page");
    let checkout = prefix.parent().filter(|_| prefix.ends_with("target"));
    let built = checkout.map(|checkout| checkout.join("ui/dist"));
    [packaged].into_iter().chain(built).collect()
}

/// Waits for the end of the terminal.
pub async fn hung_up() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut hangup) = signal(SignalKind::hangup()) {
            hangup.recv().await;
            return;
        }
    }
    std::future::pending().await
}

/// Waits for Ctrl-C, or for the signal that ends services.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler the system's own ends the program; the data is safe either way.
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_comes_with_the_program() {
        let of = |exe: &str| own_pages(Ok(PathBuf::from(exe)));
        assert_eq!(of("/usr/bin/musher"), [PathBuf::from("/usr/lib/Musher/page")]);
        let checkout = of("/home/me/musher/target/debug/musher");
        assert_eq!(checkout.last(), Some(&PathBuf::from("/home/me/musher/ui/dist")));
        assert!(of("/tmp/a/b/musher").iter().all(|dir| !dir.ends_with("ui/dist")));
    }
}
