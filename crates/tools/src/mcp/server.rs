//! One tool server from its start to its proved end, as one task.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use musher_process::{Ending, ExitRecord, Keeper, SpawnSpec, Transport};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    client::{Connection, Listed, Session},
    config::{Command, Via},
    pipe::Pipe,
};
use crate::{
    HostConfig,
    run::{itself, marked},
};

/// The end of its input is a server's sign to go.
const ENDING: Ending =
    Ending { eof_grace: Duration::from_millis(300), term_grace: Duration::from_millis(500) };

/// How often a server may change its list: one that always does would keep us busy with nothing else.
const MOST_LISTS: u32 = 100;

/// How a server is, as its tools see it.
#[derive(Clone)]
pub enum State {
    Starting,
    Ready(Session, Arc<Vec<Listed>>),
    /// It was there and went away; it is started again when somebody wants it. Why: a clause.
    Away(String),
    /// Never to come back, and why: a clause.
    Ended(String),
}

/// How a server that went away is started again: once, and told of once.
#[derive(Default)]
pub struct Again {
    wanted: Notify,
    told: AtomicBool,
}

impl Again {
    pub fn wake(&self) {
        self.wanted.notify_one();
    }

    pub fn is_first(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }
}

/// What a server is started with.
pub struct Plan {
    pub via: Via,
    pub config: Arc<HostConfig>,
    /// Of its keeper, and of its second keeper; below the run's folder, the last part in the mark.
    pub folders: [PathBuf; 2],
    /// From its start to the list of its tools.
    pub limit: Duration,
    pub ending: CancellationToken,
    pub state: watch::Sender<State>,
    pub again: Arc<Again>,
}

/// How a server's life ended.
struct Life {
    why: String,
    /// Processes that would not end.
    left: Vec<u32>,
    /// It was ready once, and nobody asked it to go.
    went_away: bool,
}

/// Why a connection is no more.
enum End {
    /// We ended it.
    Asked,
    Slow,
    Refused(String),
    /// It went away.
    Over,
}

impl Plan {
    /// Runs the server until it ends or is to end; one that went away a second time, when it is wanted
    /// again. Gives the processes that would not end.
    pub async fn live(self) -> Vec<u32> {
        let mut life = self.once(&self.folders[0]).await;
        if life.went_away && life.left.is_empty() && self.is_wanted_again(&life.why).await {
            self.state.send_replace(State::Starting);
            life = self.once(&self.folders[1]).await;
        }
        self.state.send_replace(State::Ended(life.why));
        life.left
    }

    async fn is_wanted_again(&self, why: &str) -> bool {
        self.state.send_replace(State::Away(why.to_owned()));
        tokio::select! {
            biased;
            () = self.ending.cancelled() => false,
            () = self.again.wanted.notified() => true,
        }
    }

    async fn once(&self, folder: &Path) -> Life {
        match &self.via {
            Via::Child(command) => self.child(command, folder).await,
            Via::Http(remote) => {
                let end = self.attend(Connection::to(remote)).await;
                let went_away = matches!(end, End::Over);
                Life { why: self.in_words(end), left: Vec::new(), went_away }
            }
        }
    }

    async fn child(&self, command: &Command, folder: &Path) -> Life {
        let mark = self.mark(folder);
        let spec = self.spec(command, &mark);
        let started = match &self.config.keeper {
            Some(keeper) => Keeper::start_with(keeper, folder, spec).await,
            None => Keeper::start(folder, spec).await,
        };
        let keeper = match started {
            Ok(keeper) => keeper,
            Err(error) => {
                let why = error.to_string().trim_end_matches('.').to_owned();
                return Life { why, left: marked(&mark), went_away: false };
            }
        };
        let (pipe, stream) = Pipe::open(&keeper);
        let end = self.attend(Connection::over(stream)).await;
        // Whether it went by itself must be known before we end it.
        let by_itself = pipe.has_ended();
        let record = keeper.end(ENDING).await;
        let went_away = matches!(end, End::Over);
        let why = match (&end, &record) {
            (End::Over | End::Refused(_), Ok(record)) if by_itself => ended(record, &pipe),
            (End::Over | End::Refused(_), _) if pipe.trouble().is_some() => {
                pipe.trouble().unwrap_or_default().to_owned()
            }
            _ => self.in_words(end),
        };
        let left = record.map_or_else(|_| marked(&mark), |record| record.left);
        Life { why, left, went_away }
    }

    fn mark(&self, folder: &Path) -> String {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{}.{name}", self.config.mark)
    }

    fn spec(&self, command: &Command, mark: &str) -> SpawnSpec {
        let mut spec = SpawnSpec::new(&command.program, &command.cwd, mark);
        spec.args.clone_from(&command.args);
        spec.env.clone_from(&self.config.env);
        spec.env.extend(command.env.clone());
        spec.transport = Transport::Pipe;
        spec
    }

    /// Connects, says which tools there are, and waits for the end.
    async fn attend(&self, connecting: impl Future<Output = Result<Connection, String>>) -> End {
        let started = async {
            let connection = connecting.await?;
            let tools = connection.session().tools().await?;
            Ok::<_, String>((connection, tools))
        };
        let started = tokio::select! {
            biased;
            () = self.ending.cancelled() => return End::Asked,
            started = tokio::time::timeout(self.limit, started) => started,
        };
        match started {
            Err(_) => End::Slow,
            Ok(Err(why)) => End::Refused(why),
            Ok(Ok((connection, tools))) => {
                self.state.send_replace(State::Ready(connection.session(), tools.into()));
                self.serve(connection).await;
                if self.ending.is_cancelled() { End::Asked } else { End::Over }
            }
        }
    }

    /// Until the connection is over. Lists of tools are read again when they change.
    async fn serve(&self, connection: Connection) {
        let (session, relisted) = (connection.session(), connection.relisted());
        let relist = async {
            for _ in 0..MOST_LISTS {
                relisted.notified().await;
                let listed = tokio::time::timeout(self.limit, session.tools()).await;
                if let Ok(Ok(tools)) = listed {
                    self.state.send_replace(State::Ready(session.clone(), tools.into()));
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            () = connection.until(&self.ending) => {}
            () = relist => {}
        }
    }

    fn in_words(&self, end: End) -> String {
        match end {
            End::Asked => "the run is over".to_owned(),
            End::Slow => format!("it was not ready within {} s", self.limit.as_secs_f32()),
            End::Refused(why) => why,
            End::Over => "its connection ended".to_owned(),
        }
    }
}

fn ended(record: &ExitRecord, pipe: &Pipe) -> String {
    let how = itself(record);
    match pipe.last_error() {
        Some(line) => format!("{how}; its last words: {line}"),
        None => how,
    }
}
