//! Whether anything shows tray icons here.
//!
//! On Linux that is whoever owns `org.kde.StatusNotifierWatcher` on the session bus and has a host
//! registered (freedesktop's StatusNotifierItem, "StatusNotifierWatcher"); many desktops have none.
//! It may come and go while Musher runs.

use tokio::sync::watch;

#[cfg(target_os = "linux")]
const WATCHER: &str = "org.kde.StatusNotifierWatcher";

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
async fn follow_the_bus(present: &watch::Sender<bool>) -> zbus::Result<()> {
    use futures::StreamExt;
    let bus = zbus::Connection::session().await?;
    let names = zbus::fdo::DBusProxy::new(&bus).await?;
    let mut owners = names.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    let rule = zbus::MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface(WATCHER)
        .build()?;
    let mut signals = zbus::MessageStream::for_match_rule(rule, &bus, None).await?;
    loop {
        let shown = has_host(&bus).await;
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

#[cfg(target_os = "linux")]
async fn has_host(bus: &zbus::Connection) -> bool {
    const ANSWER_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
    let asked = bus.call_method(
        Some(WATCHER),
        "/StatusNotifierWatcher",
        Some("org.freedesktop.DBus.Properties"),
        "Get",
        &(WATCHER, "IsStatusNotifierHostRegistered"),
    );
    let Ok(Ok(reply)) = tokio::time::timeout(ANSWER_LIMIT, asked).await else { return false };
    let value = reply.body().deserialize::<zbus::OwnedVariant>();
    value.is_ok_and(|value| bool::try_from(value).unwrap_or(false))
}
