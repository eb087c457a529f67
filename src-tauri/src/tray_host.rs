//! Whether anything shows tray icons here.
//!
//! On Linux that is whoever owns `org.kde.StatusNotifierWatcher` on the session bus and has a host
//! registered (freedesktop's StatusNotifierItem, "StatusNotifierWatcher"); many desktops have none.
//! It may come and go while Musher runs.

use tokio::sync::watch;

/// Tells each change until the bus is gone. No bus means no tray host.
#[cfg(target_os = "linux")]
pub(crate) async fn watch(present: &watch::Sender<bool>) {
    if let Err(error) = follow_the_bus(present).await {
        tracing::info!("no tray host: {error}");
    }
    present.send_replace(false);
}

/// Every other system has one.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn watch(present: &watch::Sender<bool>) {
    present.send_replace(true);
    std::future::pending::<()>().await;
}

#[cfg(target_os = "linux")]
#[zbus::proxy(
    interface = "org.kde.StatusNotifierWatcher",
    default_service = "org.kde.StatusNotifierWatcher",
    default_path = "/StatusNotifierWatcher"
)]
trait Watcher {
    #[zbus(property(emits_changed_signal = "false"))]
    fn is_status_notifier_host_registered(&self) -> zbus::Result<bool>;
}

#[cfg(target_os = "linux")]
async fn follow_the_bus(present: &watch::Sender<bool>) -> zbus::Result<()> {
    use futures::StreamExt;
    const ANSWER_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
    let bus = zbus::connection::Builder::session().method_timeout(ANSWER_LIMIT).build().await?;
    let watcher = WatcherProxy::new(&bus).await?;
    let mut owners = watcher.inner().receive_owner_changed().await?;
    let mut signals = watcher.inner().receive_all_signals().await?;
    loop {
        let shown = watcher.is_status_notifier_host_registered().await.unwrap_or(false);
        present.send_if_modified(|known| std::mem::replace(known, shown) != shown);
        let goes_on = tokio::select! {
            change = owners.next() => change.is_some(),
            signal = signals.next() => signal.is_some(),
        };
        if !goes_on {
            return Ok(());
        }
    }
}
