//! One tool server from its start to its proved end, as one task.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use musher_process::{Ending, ExitRecord, Keeper, SpawnSpec, Transport};
use tokio::sync::watch;
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

/// How a server is, as its tools see it.
#[derive(Clone)]
pub enum State {
    Starting,
    Ready(Session, Arc<Vec<Listed>>),
    /// Never to come back, and why: a clause.
    Ended(String),
}

/// What a server is started with.
pub struct Plan {
    pub via: Via,
    pub config: Arc<HostConfig>,
    /// Of its keeper; below the run's folder, its last part in the mark.
    pub folder: PathBuf,
    /// From its start to the list of its tools.
    pub limit: Duration,
    pub ending: CancellationToken,
    pub state: watch::Sender<State>,
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
    /// Runs the server until it ends or is to end. Gives the processes that would not end.
    pub async fn live(self) -> Vec<u32> {
        let (why, left) = match &self.via {
            Via::Child(command) => self.child(command).await,
            Via::Http(remote) => (self.in_words(self.attend(Connection::to(remote)).await), vec![]),
        };
        self.state.send_replace(State::Ended(why));
        left
    }

    async fn child(&self, command: &Command) -> (String, Vec<u32>) {
        let mark = self.mark();
        let spec = self.spec(command, &mark);
        let started = match &self.config.keeper {
            Some(keeper) => Keeper::start_with(keeper, &self.folder, spec).await,
            None => Keeper::start(&self.folder, spec).await,
        };
        let keeper = match started {
            Ok(keeper) => keeper,
            Err(error) => {
                return (error.to_string().trim_end_matches('.').to_owned(), marked(&mark));
            }
        };
        let (pipe, stream) = Pipe::open(&keeper);
        let end = self.attend(Connection::over(stream)).await;
        // Whether it went by itself must be known before we end it.
        let by_itself = pipe.has_ended();
        let record = keeper.end(ENDING).await;
        let why = match (&end, &record) {
            (End::Over | End::Refused(_), Ok(record)) if by_itself => ended(record, &pipe),
            (End::Over | End::Refused(_), _) if pipe.trouble().is_some() => {
                pipe.trouble().unwrap_or_default().to_owned()
            }
            _ => self.in_words(end),
        };
        (why, record.map_or_else(|_| marked(&mark), |record| record.left))
    }

    fn mark(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
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
                connection.until(&self.ending).await;
                if self.ending.is_cancelled() { End::Asked } else { End::Over }
            }
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
