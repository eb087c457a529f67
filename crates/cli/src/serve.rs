//! `musher serve`: the engine for a browser, or for other programs on this machine.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use musher_api::serve::serve_tcp;
use musher_protocol::{ApiError, ErrorCode, HostKind};

use crate::{print, reach::Own};

/// Serves until it is interrupted. Agents live on in their keepers.
pub async fn serve(
    data_dir: &Path,
    port: Option<u16>,
    page: Option<PathBuf>,
) -> Result<ExitCode, ApiError> {
    let page = port.map(|_| page_dir(page)).transpose()?;
    let own = Own::open(data_dir, HostKind::Server).await?;
    print::line(&format!("socket {}", data_dir.join("engine.sock").display()));
    let tcp = match port.zip(page) {
        Some((port, page)) => {
            let (info, serving) = serve_tcp(own.api.clone(), port, &page).await?;
            print::line(&info.url);
            Some(serving)
        }
        None => None,
    };
    interrupted().await;
    if let Some(tcp) = tcp {
        tcp.end().await;
    }
    own.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The page as named, else where a package puts it, else where it is built.
fn page_dir(named: Option<PathBuf>) -> Result<PathBuf, ApiError> {
    let exe = std::env::current_exe().ok();
    let packaged = exe.and_then(|exe| Some(exe.parent()?.join("../lib/Musher/page")));
    let built = PathBuf::from("ui/dist");
    let candidates =
        named.map_or_else(|| packaged.into_iter().chain([built]).collect(), |dir| vec![dir]);
    let found = candidates.into_iter().find(|dir| dir.join("index.html").is_file());
    found.ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, "The built page was not found.")
            .with_hint("Build it with `npm run build` in ui/, or name its folder with --page.")
    })
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
