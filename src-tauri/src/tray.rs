//! The tray icon: who is needed, and a menu of live runs. Without a tray host there is none, and then
//! closing the window never hides it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use musher_protocol::{RunId, RunPhase, RunSummary};
use tauri::{
    AppHandle, Manager, Wry,
    image::Image,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::{TrayIcon, TrayIconBuilder},
};

use crate::shell::Shell;

const OPEN: &str = "open";
const STOP_ALL: &str = "stop-all";
const QUIT: &str = "quit";
/// Begins the menu id of a run.
const RUN: &str = "run:";
/// The run rows stand behind "Open Musher" and a line.
const FIRST_ROW: usize = 2;
/// A longer menu helps nobody; the window has all.
const MOST_ROWS: usize = 12;
const LONGEST_TITLE: usize = 40;

/// What the tray shows: compared before anything is drawn, so that an unchanged menu costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrayView {
    pub(crate) live: usize,
    mark: Mark,
    rows: Vec<(RunId, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Idle,
    Running,
    Need,
}

impl TrayView {
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a RunSummary>) -> Self {
        let mut live: Vec<_> = runs.filter(|run| run.phase.is_live()).collect();
        // Who needs a person first, then the latest; ids of later runs sort later.
        live.sort_by(|a, b| (needs(b), &b.id).cmp(&(needs(a), &a.id)));
        let mark = match live.first() {
            None => Mark::Idle,
            Some(first) if needs(first) => Mark::Need,
            Some(_) => Mark::Running,
        };
        let rows = live.iter().take(MOST_ROWS).map(|run| (run.id.clone(), row(run))).collect();
        Self { live: live.len(), mark, rows }
    }
}

fn needs(run: &RunSummary) -> bool {
    run.waiting > 0 || run.phase.needs_person()
}

fn row(run: &RunSummary) -> String {
    let mut title: String = run.title.chars().take(LONGEST_TITLE).collect();
    if title.len() < run.title.len() {
        title.push('…');
    }
    // GTK takes an underscore for a mnemonic; doubled it is one.
    format!("{title} — {}", state_word(run)).replace('_', "__")
}

fn state_word(run: &RunSummary) -> &'static str {
    match run.phase {
        _ if needs(run) => "needs you",
        RunPhase::Queued => "waits for a slot",
        RunPhase::Preparing => "preparing",
        RunPhase::Starting => "starting",
        RunPhase::WaitingRateLimit => "waits for its limit",
        RunPhase::Stopping => "stopping",
        _ => "running",
    }
}

/// The tray while it is there. Touched on the main thread only.
pub(crate) struct Tray {
    icon: TrayIcon,
    menu: Menu<Wry>,
    rows: Vec<(String, MenuItem<Wry>)>,
    stop_all: MenuItem<Wry>,
    quit: MenuItem<Wry>,
    mark: Mark,
}

impl Tray {
    /// `None` where the system's tray library is missing or fails.
    pub(crate) fn make(app: &AppHandle, view: &TrayView) -> Option<Self> {
        // The binding panics where libayatana-appindicator is not installed.
        match catch_unwind(AssertUnwindSafe(|| Self::build(app, view))) {
            Ok(Ok(tray)) => Some(tray),
            Ok(Err(error)) => {
                tracing::warn!("no tray icon: {error}");
                None
            }
            Err(_) => {
                tracing::warn!("no tray icon: libayatana-appindicator3 is not installed");
                None
            }
        }
    }

    fn build(app: &AppHandle, view: &TrayView) -> tauri::Result<Self> {
        let item = |id, text, on| MenuItem::with_id(app, id, text, on, None::<&str>);
        let stop_all = item(STOP_ALL, "Stop all…", false)?;
        let quit = item(QUIT, "Quit Musher", true)?;
        let menu = Menu::with_items(
            app,
            &[
                &item(OPEN, "Open Musher", true)?,
                &PredefinedMenuItem::separator(app)?,
                &PredefinedMenuItem::separator(app)?,
                &stop_all,
                &quit,
            ],
        )?;
        let icon = TrayIconBuilder::with_id("main")
            .menu(&menu)
            .icon(image(Mark::Idle)?)
            .tooltip("Musher")
            .temp_dir_path(icon_dir())
            .build(app)?;
        let mut tray = Self { icon, menu, rows: Vec::new(), stop_all, quit, mark: Mark::Idle };
        tray.draw(app, view)?;
        Ok(tray)
    }

    pub(crate) fn show(&mut self, app: &AppHandle, view: &TrayView) {
        if let Err(error) = self.draw(app, view) {
            tracing::warn!("the tray's menu could not be drawn: {error}");
        }
    }

    fn draw(&mut self, app: &AppHandle, view: &TrayView) -> tauri::Result<()> {
        // Each icon is a file that the panel reads.
        if self.mark != view.mark {
            self.icon.set_icon(Some(image(view.mark)?))?;
            self.mark = view.mark;
        }
        self.draw_rows(app, &view.rows)?;
        self.stop_all.set_enabled(view.live > 0)?;
        self.quit.set_text(match view.live {
            0 => "Quit Musher".to_owned(),
            1 => "Quit Musher (the agent goes on)".to_owned(),
            live => format!("Quit Musher ({live} agents go on)"),
        })
    }

    /// The same runs get new words in place, so that an open menu does not jump.
    fn draw_rows(&mut self, app: &AppHandle, rows: &[(RunId, String)]) -> tauri::Result<()> {
        let mut rows: Vec<_> =
            rows.iter().map(|(run, text)| (format!("{RUN}{run}"), text.as_str(), true)).collect();
        if rows.is_empty() {
            rows.push(("none".to_owned(), "No live runs", false));
        }
        if self.rows.iter().map(|(id, _)| id).eq(rows.iter().map(|(id, ..)| id)) {
            let mut both = self.rows.iter().zip(rows);
            return both.try_for_each(|((_, item), (_, text, _))| item.set_text(text));
        }
        for (_, old) in self.rows.drain(..) {
            self.menu.remove(&old)?;
        }
        for (place, (id, text, on)) in rows.into_iter().enumerate() {
            let item = MenuItem::with_id(app, &id, text, on, None::<&str>)?;
            self.menu.insert(&item, FIRST_ROW + place)?;
            self.rows.push((id, item));
        }
        Ok(())
    }
}

/// Each process writes its icons to a place of its own: two would take each other's.
fn icon_dir() -> std::path::PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, Into::into);
    base.join(format!("musher-tray-{}", std::process::id()))
}

pub(crate) fn clean_up() {
    // Nothing is there when no tray was made.
    let _ = std::fs::remove_dir_all(icon_dir());
}

fn image(mark: Mark) -> tauri::Result<Image<'static>> {
    let bytes: &[u8] = match mark {
        Mark::Idle => include_bytes!("../icons/tray-idle.png"),
        Mark::Running => include_bytes!("../icons/tray-running.png"),
        Mark::Need => include_bytes!("../icons/tray-need.png"),
    };
    Image::from_bytes(bytes)
}

/// A choice in the menu.
pub(crate) fn on_menu(app: &AppHandle, id: &str) {
    let shell = app.state::<Arc<Shell>>();
    match id {
        OPEN => shell.open_run(None),
        QUIT => shell.quit(0),
        STOP_ALL => shell.ask_to_stop_all(),
        _ => {
            if let Some(run) = id.strip_prefix(RUN).and_then(RunId::parse) {
                shell.open_run(Some(run));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::run;

    fn view(runs: &[RunSummary]) -> TrayView {
        TrayView::of(runs.iter())
    }

    #[test]
    fn who_needs_a_person_is_first_and_marks_the_icon() {
        let mut asks = run("a", RunPhase::WaitingPermission);
        asks.waiting = 1;
        let both = view(&[run("b", RunPhase::Running), asks]);
        assert_eq!(both.mark, Mark::Need);
        assert_eq!(both.live, 2);
        let rows: Vec<_> = both.rows.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(rows, ["Add a flag — needs you", "Add a flag — running"]);
        assert_eq!(view(&[run("b", RunPhase::Queued)]).mark, Mark::Running);
    }

    #[test]
    fn what_is_over_is_not_listed() {
        assert_eq!(view(&[run("a", RunPhase::Done)]), TrayView::default());
    }

    #[test]
    fn only_what_a_menu_shows_changes_it() {
        let before = run("a", RunPhase::Running);
        let mut after = before.clone();
        after.last_seq += 100;
        after.detail = Some("editing src/lib.rs".into());
        assert_eq!(view(&[before]), view(&[after]));
    }

    #[test]
    fn a_long_menu_and_a_long_title_are_cut_and_an_underscore_is_no_key() {
        let runs: Vec<_> = (10..40).map(|n| run(&n.to_string(), RunPhase::Running)).collect();
        assert_eq!(view(&runs).rows.len(), MOST_ROWS);
        assert_eq!(view(&runs).live, 30);
        let mut named = run("a", RunPhase::Running);
        named.title = "ü_".repeat(50);
        let text = view(&[named]).rows.remove(0).1;
        assert!(text.starts_with("ü__ü__") && text.contains("… — running"), "{text}");
    }
}
