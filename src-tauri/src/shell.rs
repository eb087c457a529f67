//! What the window, the tray, the notifications and the page share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use musher_api::EngineApi;
use musher_protocol::{ApiError, ErrorCode, News, RunId};
use tauri::{App, AppHandle, Emitter, Manager};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Doors, dialog,
    drop::{self, DRAG_DEPTH, Dragged, DropNote},
    host::WindowHost,
    news::{self, Mailbox},
    notify::{Note, Notes},
    start::{self, Opened, Opening},
    tray::{self, Tray, TrayView},
    tray_host, window,
};

/// A start waits this long for the engine before it shows the window: a locked data directory is
/// known long before, and then no window flashes up.
const EARLY: Duration = Duration::from_millis(200);
/// The longest wait of the page for news.
const NEWS_LIMIT: Duration = Duration::from_secs(25);
/// A page's command waits this long for the engine to be open.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum Engine {
    Opening,
    Open(Arc<EngineApi>),
    Failed(ApiError),
}

pub(crate) struct Shell {
    pub(crate) app: AppHandle,
    pub(crate) mailbox: Mailbox,
    pub(crate) notes: Notes,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    engine: watch::Sender<Engine>,
    doors: Mutex<Doors>,
    page: Mutex<Page>,
    tray: Mutex<Option<Tray>>,
    tray_view: Mutex<TrayView>,
    live: AtomicUsize,
    said_that_it_hides: AtomicBool,
    drags: mpsc::Sender<Dragged>,
}

/// What waits until the page listens.
#[derive(Default)]
struct Page {
    ready: bool,
    folders: Vec<String>,
    run: Option<RunId>,
}

impl Page {
    /// Keeps what the page must be told, while it does not listen yet; whether it did.
    fn keep(&mut self, what: impl FnOnce(&mut Self)) -> bool {
        if !self.ready {
            what(self);
        }
        !self.ready
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    /// Called once, in Tauri's set-up.
    pub(crate) fn begin(app: &mut App, opening: Opening) -> tauri::Result<()> {
        let (drags, dragged) = mpsc::channel(DRAG_DEPTH);
        let shell = Arc::new(Self {
            app: app.handle().clone(),
            mailbox: Mailbox::default(),
            notes: Notes::default(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            engine: watch::Sender::new(Engine::Opening),
            doors: Mutex::default(),
            page: Mutex::new(Page { folders: opening.folders.clone(), ..Page::default() }),
            tray: Mutex::default(),
            tray_view: Mutex::default(),
            live: AtomicUsize::new(0),
            said_that_it_hides: AtomicBool::new(false),
            drags,
        });
        app.manage(shell.clone());
        shell.own(|shell| async move { drop::tell(&shell, dragged).await });
        shell.own(|shell| async move {
            start::asked_to_end().await;
            shell.quit(0);
        });
        shell.clone().start(opening)
    }

    fn start(self: Arc<Self>, mut opening: Opening) -> tauri::Result<()> {
        let early = tauri::async_runtime::block_on(opening.early(EARLY));
        match early {
            Some(Opened::HandedOver) => self.quit(0),
            Some(Opened::Failed(error)) => {
                self.own(|shell| shell.fail(error));
            }
            Some(opened) => {
                window::make(&self.app)?;
                self.own(|shell| shell.opened(opened, opening.data_dir));
            }
            None => {
                window::make(&self.app)?;
                self.own(|shell| async move {
                    let opened = start::finished(opening.opened.await);
                    shell.opened(opened, opening.data_dir).await;
                });
            }
        }
        Ok(())
    }

    /// A task that ends with the shell. Called from any thread, GTK's too.
    pub(crate) fn own<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> AbortHandle {
        let cancel = self.cancel.clone();
        let work = work(self.clone());
        let task = async move {
            cancel.run_until_cancelled(work).await;
        };
        let handle = tauri::async_runtime::handle();
        self.tasks.spawn_on(task, handle.inner()).abort_handle()
    }

    async fn opened(self: Arc<Self>, opened: Opened, data_dir: std::path::PathBuf) {
        match opened {
            Opened::Failed(error) => self.fail(error).await,
            Opened::HandedOver => self.quit(0),
            Opened::Engine(engine) => {
                let host = Arc::new(WindowHost(Arc::downgrade(&self)));
                let api = start::api(&engine, host);
                self.open_doors(api.clone(), &data_dir);
                self.engine.send_replace(Engine::Open(api));
                self.own(|shell| async move { shell.watch_tray().await });
                news::follow(&self, &engine).await;
            }
        }
    }

    #[cfg(unix)]
    fn open_doors(&self, api: Arc<EngineApi>, data_dir: &std::path::Path) {
        match musher_api::serve::serve_socket(api, data_dir) {
            Ok(serving) => *locked(&self.doors) = Some(serving),
            // The window works without; only other `musher` programs cannot reach it.
            Err(error) => tracing::warn!("{error}"),
        }
    }

    #[cfg(not(unix))]
    fn open_doors(&self, _api: Arc<EngineApi>, _data_dir: &std::path::Path) {}

    /// Says it and ends with 1.
    async fn fail(self: Arc<Self>, error: ApiError) {
        crate::say(&error);
        self.engine.send_replace(Engine::Failed(error.clone()));
        dialog::error(&self.app, &error).await;
        self.quit(1);
    }

    pub(crate) fn quit(&self, code: i32) {
        self.app.exit(code);
    }

    /// Ends what the shell owns. The engine lets go of its agents; they go on in their keepers.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        self.cancel.cancel();
        self.tasks.close();
        tray::clean_up();
        let doors = locked(&self.doors).take();
        let engine = self.engine.borrow().clone();
        async move {
            let engine = async {
                if let Engine::Open(api) = engine {
                    api.engine.shutdown().await;
                }
            };
            let doors = async {
                if let Some(doors) = doors {
                    doors.end().await;
                }
            };
            tokio::join!(engine, doors);
        }
    }

    /// The engine, once it is open.
    pub(crate) async fn api(&self) -> Result<Arc<EngineApi>, ApiError> {
        let mut engine = self.engine.subscribe();
        let known = engine.wait_for(|engine| !matches!(engine, Engine::Opening));
        let known = tokio::time::timeout(OPEN_LIMIT, known).await;
        match known.ok().and_then(Result::ok).as_deref() {
            Some(Engine::Open(api)) => Ok(api.clone()),
            Some(Engine::Failed(error)) => Err(error.clone()),
            _ => Err(ApiError::new(ErrorCode::Conflict, "Musher is still opening its data.")
                .with_hint("Wait a moment, then try again.")),
        }
    }

    /// What the page has not heard yet; nothing after 25 seconds.
    pub(crate) async fn page_news(&self, fresh: bool) -> Result<News, ApiError> {
        let api = self.api().await?;
        if fresh {
            self.mailbox.clear();
            let runs = api.engine.run_list().await?;
            return Ok(News { runs, projects: true });
        }
        let news = tokio::time::timeout(NEWS_LIMIT, self.mailbox.take()).await;
        Ok(news.unwrap_or_default())
    }
}

/// The page.
impl Shell {
    pub(crate) fn page_is_loading(&self) {
        locked(&self.page).ready = false;
    }

    /// Gives it what waited.
    pub(crate) fn page_is_ready(&self) {
        let waited = {
            let mut page = locked(&self.page);
            page.ready = true;
            (std::mem::take(&mut page.folders), page.run.take())
        };
        if !waited.0.is_empty() {
            self.tell_drop(dropped(waited.0));
        }
        if let Some(run) = waited.1 {
            self.emit("open-run", run);
        }
    }

    /// As if they were dropped on the window.
    pub(crate) fn take_folders(&self, folders: Vec<String>) {
        if folders.is_empty() {
            return;
        }
        let waits = locked(&self.page).keep(|page| page.folders.extend(folders.iter().cloned()));
        if !waits {
            self.tell_drop(dropped(folders));
        }
    }

    /// Brings the window forward, with this run in it.
    pub(crate) fn open_run(&self, run: Option<RunId>) {
        window::show(&self.app);
        let Some(run) = run else { return };
        let waits = locked(&self.page).keep(|page| page.run = Some(run.clone()));
        if !waits {
            self.emit("open-run", run);
        }
    }

    pub(crate) fn dragged(&self, dragged: Dragged) {
        // A full queue loses movements of a hand, nothing else: an end is never so far behind.
        let _ = self.drags.try_send(dragged);
    }

    pub(crate) fn tell_drop(&self, note: DropNote) {
        self.emit("drop", note);
    }

    fn emit(&self, event: &str, payload: impl serde::Serialize + Clone) {
        if let Err(error) = self.app.emit_to(window::LABEL, event, payload) {
            tracing::warn!("the page did not get `{event}`: {error}");
        }
    }
}

fn dropped(paths: Vec<String>) -> DropNote {
    DropNote { kind: "drop", paths, x: 0.0, y: 0.0 }
}

/// The tray and the notifications.
impl Shell {
    async fn watch_tray(self: Arc<Self>) {
        let present = watch::Sender::new(false);
        let mut changes = present.subscribe();
        let follow = async {
            while changes.changed().await.is_ok() {
                let there = *changes.borrow_and_update();
                self.on_main(move |shell| shell.make_tray(there));
            }
        };
        tokio::join!(tray_host::watch(&present), follow);
    }

    fn make_tray(&self, there: bool) {
        let view = locked(&self.tray_view).clone();
        let mut tray = locked(&self.tray);
        *tray = if there { Tray::make(&self.app, &view) } else { None };
        let visible = window::is_shown(&self.app);
        if tray.is_none() && !visible {
            // Whoever hid it could not bring it back any more.
            window::show(&self.app);
        }
    }

    fn on_main(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let shell = self.clone();
        // Fails only when the program ends.
        let _ = self.app.run_on_main_thread(move || work(&shell));
    }

    pub(crate) fn show_in_tray(self: &Arc<Self>, view: TrayView) {
        self.live.store(view.live, Ordering::Relaxed);
        let changed = {
            let mut shown = locked(&self.tray_view);
            let changed = *shown != view;
            *shown = view;
            changed
        };
        if changed {
            self.on_main(|shell| {
                let view = locked(&shell.tray_view).clone();
                if let Some(tray) = locked(&shell.tray).as_mut() {
                    tray.show(&shell.app, &view);
                }
            });
        }
    }

    /// Only where a tray can bring it back, and only while something runs.
    pub(crate) fn hides_on_close(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0 && locked(&self.tray).is_some()
    }

    pub(crate) fn say_once_that_it_hides(self: &Arc<Self>) {
        if !self.said_that_it_hides.swap(true, Ordering::Relaxed) {
            self.notes.show(
                self,
                Note {
                    run: None,
                    summary: "Musher goes on in the tray".to_owned(),
                    body: "Its agents work on. Open or quit it from its icon.".to_owned(),
                },
            );
        }
    }

    pub(crate) fn notify(self: &Arc<Self>, note: Note) {
        if !window::is_looked_at(&self.app) {
            self.notes.show(self, note);
        }
    }

    async fn stop_all(self: Arc<Self>) {
        let live = self.live.load(Ordering::Relaxed);
        let question = match live {
            1 => "Stop the live run?".to_owned(),
            live => format!("Stop {live} live runs?"),
        };
        let text = "Each agent is ended with everything it started. \
                    What it wrote stays in its worktree.";
        if !dialog::ask(&self.app, question, text).await {
            return;
        }
        let stopped = match self.api().await {
            Ok(api) => api.engine.run_stop_all().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            dialog::error(&self.app, &error).await;
        }
    }
}

pub(crate) fn ask_to_stop_all(shell: Arc<Shell>) {
    shell.own(Shell::stop_all);
}
