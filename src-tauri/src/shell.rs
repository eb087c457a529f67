//! What the window, the tray, the notifications and the page share.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use musher_api::{Api, Client, EngineApi, Guest, serve::Serving};
use musher_protocol::{ApiError, ErrorCode, StoryId};
use serde::de::DeserializeOwned;
use tauri::{App, AppHandle, Manager};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    dialog,
    drop::{self, DRAG_DEPTH, Dragged},
    host::WindowHost,
    news::{self, Board, Mailbox},
    notices::{self, NOTES_DEPTH},
    notify::Note,
    page::Wanted,
    start::{self, Opened, Opening},
    tray::{self, Tray, TrayView},
    window,
};

/// A start waits this long for the engine before it shows the window: a locked data directory is
/// known long before, and then no window flashes up.
const EARLY: Duration = Duration::from_millis(200);
/// A page's command waits this long for the engine to be open.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum Engine {
    Opening,
    Open(Arc<EngineApi>),
    /// Another's, who keeps it: see [`Opened::Guest`]. It is ours when that ends.
    Guest(Arc<dyn Api>),
    Failed(ApiError),
}

pub(crate) struct Shell {
    pub(crate) app: AppHandle,
    pub(crate) mailbox: Mailbox,
    pub(crate) notes: mpsc::Sender<Note>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    engine: watch::Sender<Engine>,
    door: Mutex<Option<Serving>>,
    /// What waits until the page listens; `None` while it does.
    pub(crate) waits: Mutex<Option<Wanted>>,
    /// The story that the page shows.
    pub(crate) shown: Mutex<Option<StoryId>>,
    pub(crate) tray: Mutex<Option<Tray>>,
    pub(crate) tray_host: AtomicBool,
    pub(crate) tray_view: Mutex<TrayView>,
    pub(crate) live: AtomicUsize,
    pub(crate) said_that_it_hides: AtomicBool,
    pub(crate) drags: mpsc::Sender<Dragged>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    /// Called once, in Tauri's set-up.
    pub(crate) fn begin(app: &mut App, opening: Opening) -> tauri::Result<()> {
        let (drags, dragged) = mpsc::channel(DRAG_DEPTH);
        let (notes, noted) = mpsc::channel(NOTES_DEPTH);
        let shell = Arc::new(Self {
            app: app.handle().clone(),
            mailbox: Mailbox::default(),
            notes,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            engine: watch::Sender::new(Engine::Opening),
            door: Mutex::default(),
            waits: Mutex::new(Some(Wanted { folders: opening.folders.clone(), run: None })),
            shown: Mutex::default(),
            tray: Mutex::default(),
            tray_host: AtomicBool::new(false),
            tray_view: Mutex::default(),
            live: AtomicUsize::new(0),
            said_that_it_hides: AtomicBool::new(false),
            drags,
        });
        app.manage(shell.clone());
        shell.own(|shell| async move { drop::tell(&shell, dragged).await });
        shell.own(|shell| notices::show(shell, noted));
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
            Some(Opened::Failed(error)) => self.own(|shell| shell.fail(error)),
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
    ) {
        let cancel = self.cancel.clone();
        let work = work(self.clone());
        let task = async move {
            cancel.run_until_cancelled(work).await;
        };
        let handle = tauri::async_runtime::handle();
        self.tasks.spawn_on(task, handle.inner());
    }

    async fn opened(self: Arc<Self>, mut opened: Opened, data_dir: PathBuf) {
        if matches!(opened, Opened::Engine(_) | Opened::Guest(_)) {
            self.own(|shell| async move { shell.watch_tray().await });
        }
        let mut board = Board::default();
        loop {
            match opened {
                Opened::Failed(error) => return self.fail(error).await,
                Opened::HandedOver => return self.quit(0),
                Opened::Engine(engine) => return self.host(&engine, &data_dir, &mut board).await,
                Opened::Guest(client) => self.visit(client, &data_dir, &mut board).await,
            }
            // It may be just ending.
            tokio::time::sleep(start::ASK_AGAIN).await;
            opened = start::open_or_hand_over(data_dir.clone(), Vec::new(), Arc::default()).await;
        }
    }

    async fn host(
        self: &Arc<Self>,
        engine: &musher_engine::Engine,
        data_dir: &Path,
        board: &mut Board,
    ) {
        let api = start::api(engine, Arc::new(WindowHost(Arc::downgrade(self))));
        self.open_door(musher_api::serve::serve_socket(api.clone(), data_dir));
        self.engine.send_replace(Engine::Open(api.clone()));
        tracing::debug!("the engine is open");
        news::follow(self, api.as_ref(), board).await;
    }

    /// Shows another's engine until that ends.
    async fn visit(self: &Arc<Self>, client: Client, data_dir: &Path, board: &mut Board) {
        let host = Arc::new(WindowHost(Arc::downgrade(self)));
        let guest: Arc<dyn Api> = Arc::new(Guest::new(client, host));
        self.open_door(musher_api::serve::serve_guest(guest.clone(), data_dir));
        self.engine.send_replace(Engine::Guest(guest.clone()));
        tracing::debug!("the engine is another's");
        news::follow(self, guest.as_ref(), board).await;
        self.is_lost(&guest);
        let door = locked(&self.door).take();
        if let Some(door) = door {
            door.end().await;
        }
    }

    fn open_door(&self, opened: Result<Serving, ApiError>) {
        match opened {
            Ok(serving) => *locked(&self.door) = Some(serving),
            // The window works without; only other `musher` programs cannot reach it.
            Err(error) => tracing::warn!("{error}"),
        }
    }

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
        let door = locked(&self.door).take();
        let engine = self.engine.borrow().clone();
        async move {
            let engine = async {
                if let Engine::Open(api) = engine {
                    api.engine.shutdown().await;
                }
            };
            let door = async {
                if let Some(door) = door {
                    door.end().await;
                }
            };
            tokio::join!(engine, door);
        }
    }

    /// Answers a command. When the engine was another's and ended, the next one is asked.
    pub(crate) async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        loop {
            let api = self.api().await?;
            match api.call(name, params).await {
                Err(error) if error.code == ErrorCode::EngineGone && self.is_lost(&api) => {}
                answered => return answered,
            }
        }
    }

    /// A command without parameters, with the type of its answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.call(name, "{}").await?;
        serde_json::from_str(&text)
            .map_err(|error| start::failed("The engine's words could not be read", &error))
    }

    /// Whether another engine is there, or comes, in place of this one: it was a guest's, and ended.
    fn is_lost(&self, lost: &Arc<dyn Api>) -> bool {
        let mut is_lost = true;
        self.engine.send_if_modified(|engine| match engine {
            Engine::Guest(guest) if Arc::ptr_eq(guest, lost) => {
                *engine = Engine::Opening;
                true
            }
            Engine::Open(own) => {
                is_lost = !std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(lost));
                false
            }
            _ => false,
        });
        is_lost
    }

    /// The engine, once it is open.
    async fn api(&self) -> Result<Arc<dyn Api>, ApiError> {
        let mut engine = self.engine.subscribe();
        let known = engine.wait_for(|engine| !matches!(engine, Engine::Opening));
        let known = tokio::time::timeout(OPEN_LIMIT, known).await;
        match known.ok().and_then(Result::ok).as_deref() {
            Some(Engine::Open(api)) => Ok(api.clone()),
            Some(Engine::Guest(api)) => Ok(api.clone()),
            Some(Engine::Failed(error)) => Err(error.clone()),
            _ => Err(ApiError::new(ErrorCode::Conflict, "Musher is still opening its data.")
                .with_hint("Wait a moment, then try again.")),
        }
    }
}
