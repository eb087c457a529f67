//! What WebKitGTK needs: a way of drawing that works on this machine, and a page that comes back.
//!
//! By default WebKitGTK draws through EGL and shares the pictures as DMA buffers. Without a graphics
//! device that way runs on the processor and only costs: measured under Xvfb (WebKitGTK 2.50.6, two
//! cores), the second frame comes 600 to 1,700 ms after the first in place of 20 to 30, and the page's
//! process holds 170 MB in place of 94. With NVIDIA's proprietary driver the window can stay white
//! (tauri#9304). In both cases its own switch turns that way off, unless the person has set one.
//!
//! The setting of the web view (`hardware-acceleration-policy`) is no way round the environment: set
//! on a view that was just made, it ended the page's process (2.50.6).

use std::path::Path;

use webkit2gtk::{WebView, WebViewExt, glib};

const SWITCH: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
/// Who set one of these has decided.
const SWITCHES: [&str; 3] =
    [SWITCH, "WEBKIT_DISABLE_COMPOSITING_MODE", "WEBKIT_FORCE_COMPOSITING_MODE"];

/// Must be called before any other thread is started: the environment belongs to all of them.
pub(crate) fn choose_renderer() {
    let decided = SWITCHES.iter().any(|name| std::env::var_os(name).is_some());
    if decided || (has_graphics_device() && !has_nvidias_driver()) {
        return;
    }
    if let Err(error) = glib::setenv(SWITCH, "1", false) {
        tracing::warn!("the way of drawing could not be chosen: {error}");
    }
}

fn has_graphics_device() -> bool {
    let devices = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    devices.into_iter().any(|device| device.file_name().to_string_lossy().starts_with("renderD"))
}

fn has_nvidias_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

/// The page keeps nothing that the engine does not have: a page that crashed is loaded again.
pub(crate) fn reload_after_crash(view: &WebView) {
    view.connect_web_process_terminated(|view, reason| {
        tracing::error!("the page's process ended ({reason:?}); the page is loaded again");
        view.reload();
    });
}
