//! The window: how it is made, what it never does, and what closing it means.

use std::sync::Arc;

#[cfg(target_os = "linux")]
use musher_protocol::{ApiError, ErrorCode};
use tauri::{
    AppHandle, Manager, Theme, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent,
    webview::{NewWindowResponse, PageLoadEvent},
    window::Color,
};

use crate::{drop::Dragged, shell::Shell};

pub(crate) const LABEL: &str = "main";

/// `--bg` of the page's `tokens.css`: the window has it before the page is drawn.
const LIGHT: Color = Color(249, 250, 252, 255);
const DARK: Color = Color(16, 19, 23, 255);

/// Tauri would end the process with a panic where the display is not there, or does not let us in.
#[cfg(target_os = "linux")]
pub(crate) fn open_display() -> Result<(), ApiError> {
    gtk::init().map_err(|_| {
        ApiError::new(ErrorCode::Unsupported, "There is no display to open a window on.")
            .with_hint("Run `musher serve --port 0` and open its address in a browser.")
    })
}

/// Made invisible, coloured by the theme, then shown: at once and without a white flash.
pub(crate) fn make(app: &AppHandle) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Musher")
        .inner_size(1280.0, 800.0)
        .min_inner_size(480.0, 420.0)
        .visible(false)
        .on_navigation(is_own)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false)
        .on_page_load(|window, load| {
            if load.event() == PageLoadEvent::Started {
                window.state::<Arc<Shell>>().page_is_loading();
            }
        })
        .build()?;
    let dark = matches!(window.theme(), Ok(Theme::Dark));
    window.set_background_color(Some(if dark { DARK } else { LIGHT }))?;
    #[cfg(target_os = "linux")]
    window.with_webview(|webview| crate::webkit::reload_after_crash(&webview.inner()))?;
    window.show()?;
    tracing::debug!("the window is there");
    Ok(())
}

/// Only the page itself, and the development server while one is used.
fn is_own(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" if url.host_str() == Some("tauri.localhost") => true,
        "http" => cfg!(dev) && url.host_str() == Some("127.0.0.1") && url.port() == Some(5173),
        _ => false,
    }
}

/// Brings it forward.
pub(crate) fn show(app: &AppHandle) {
    let Some(window) = app.get_webview_window(LABEL) else { return };
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!("the window could not be shown: {error}");
    }
}

pub(crate) fn is_shown(app: &AppHandle) -> bool {
    app.get_webview_window(LABEL).is_some_and(|window| window.is_visible().unwrap_or(false))
}

/// Whether a person can be thought to look at it.
pub(crate) fn is_looked_at(app: &AppHandle) -> bool {
    let looked_at = |window: WebviewWindow| {
        let shown = window.is_visible().unwrap_or(false) && !window.is_minimized().unwrap_or(false);
        shown && window.is_focused().unwrap_or(false)
    };
    app.get_webview_window(LABEL).is_some_and(looked_at)
}

pub(crate) fn on_event(app: &AppHandle, event: &WindowEvent) {
    let shell = app.state::<Arc<Shell>>();
    match event {
        WindowEvent::CloseRequested { api, .. } if shell.hides_on_close() => {
            api.prevent_close();
            hide(app);
            shell.say_once_that_it_hides();
        }
        WindowEvent::DragDrop(drag) => {
            let window = app.get_webview_window(LABEL);
            let scale = window.and_then(|window| window.scale_factor().ok()).unwrap_or(1.0);
            if let Some(dragged) = Dragged::of(drag, scale) {
                shell.dragged(dragged);
            }
        }
        _ => {}
    }
}

fn hide(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL)
        && let Err(error) = window.hide()
    {
        tracing::warn!("the window could not be hidden: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_is_navigated_to() {
        let own = |text: &str| Url::parse(text).is_ok_and(|url| is_own(&url));
        assert!(own("tauri://localhost/"));
        assert!(own("tauri://localhost/index.html"));
        for other in [
            "https://example.org/",
            "file:///etc/passwd",
            "tauri://other/",
            "data:text/html,x",
            "about:blank",
            "javascript:1",
            "http://127.0.0.1:80/",
            "https://tauri.localhost.a.example/",
        ] {
            assert!(!own(other), "{other}");
        }
    }
}
