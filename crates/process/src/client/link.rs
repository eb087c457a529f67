//! One connection to a keeper: calls out, answers and news in.

use std::{collections::HashMap, os::unix::net::UnixStream as StdStream, path::PathBuf};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Child,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::attach;
use crate::{
    ExitRecord, ProcessError,
    wire::{Call, Message, Request},
};

/// What is known of the child's output and end.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    stdout: u64,
    stderr: u64,
    trouble: Option<String>,
    pub exit: Option<ExitRecord>,
}

type Answer = oneshot::Sender<Result<(), String>>;

pub struct Link {
    calls: mpsc::Sender<(Request, Answer)>,
    progress: watch::Receiver<Progress>,
    /// Ends the connection with the link.
    _actor: JoinSet<()>,
}

impl Link {
    /// `child` is the keeper itself when we are its parent: it is collected when it ends.
    pub fn open(
        dir: PathBuf,
        stream: StdStream,
        child: Option<Child>,
    ) -> Result<Self, ProcessError> {
        let stream = UnixStream::from_std(stream)
            .map_err(ProcessError::io("reaching the agent's keeper"))?;
        let (reader, writer) = stream.into_split();
        let (calls, orders) = mpsc::channel(64);
        let (news, progress) = watch::channel(Progress::default());
        let actor = Actor {
            dir,
            lines: BufReader::new(reader).lines(),
            writer,
            news,
            open: HashMap::new(),
            seq: 0,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(actor.run(orders, child));
        Ok(Self { calls, progress, _actor: tasks })
    }

    /// The keeper has ended already.
    pub fn over(record: ExitRecord) -> Self {
        let (_, progress) = watch::channel(Progress { exit: Some(record), ..Progress::default() });
        Self { calls: mpsc::channel(1).0, progress, _actor: JoinSet::new() }
    }

    pub async fn call(&self, request: Request) -> Result<(), ProcessError> {
        let (answer, answered) = oneshot::channel();
        self.calls.send((request, answer)).await.map_err(|_| ProcessError::Gone)?;
        match answered.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(ProcessError::Refused(why)),
            Err(_) => Err(ProcessError::Gone),
        }
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    pub fn trouble(&self) -> Option<String> {
        self.progress.borrow().trouble.clone()
    }

    pub async fn exited(&self) -> ExitRecord {
        let mut progress = self.progress.clone();
        let seen = progress.wait_for(|progress| progress.exit.is_some()).await;
        let known = seen.ok().and_then(|progress| progress.exit.clone());
        known.unwrap_or_else(attach::unknown_end)
    }
}

struct Actor {
    dir: PathBuf,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    news: watch::Sender<Progress>,
    open: HashMap<u64, Answer>,
    seq: u64,
}

impl Actor {
    async fn run(mut self, mut orders: mpsc::Receiver<(Request, Answer)>, child: Option<Child>) {
        let greeted = self.send(Request::Attach, None).await;
        if greeted.is_ok() {
            self.talk(&mut orders).await;
        }
        // The keeper is gone, or as good as: who still waits for an answer hears that.
        self.open.clear();
        drop(orders);
        let told = self.news.borrow().exit.clone();
        let record = match told {
            Some(record) => record,
            None => attach::end_of(self.dir.clone()).await,
        };
        self.news.send_modify(|progress| progress.exit = Some(record));
        if let Some(mut child) = child {
            let _ = child.wait().await;
        }
    }

    async fn talk(&mut self, orders: &mut mpsc::Receiver<(Request, Answer)>) {
        loop {
            tokio::select! {
                line = self.lines.next_line() => match line {
                    Ok(Some(line)) => self.hear(&line),
                    Ok(None) | Err(_) => return,
                },
                Some((request, answer)) = orders.recv() => {
                    if self.send(request, Some(answer)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn send(&mut self, request: Request, answer: Option<Answer>) -> std::io::Result<()> {
        self.seq += 1;
        let mut line = serde_json::to_vec(&Call { seq: self.seq, request })?;
        line.push(b'\n');
        if let Some(answer) = answer {
            self.open.insert(self.seq, answer);
        }
        self.writer.write_all(&line).await
    }

    fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Message::Reply { seq, error }) => {
                if let Some(answer) = self.open.remove(&seq) {
                    let _ = answer.send(error.map_or(Ok(()), Err));
                }
            }
            Ok(Message::Grown { stdout, stderr }) => self.news.send_modify(|progress| {
                progress.stdout = stdout;
                progress.stderr = stderr;
            }),
            Ok(Message::Trouble { text }) => {
                self.news.send_modify(|progress| progress.trouble = text);
            }
            Ok(Message::Exited(record)) => self.news.send_modify(|progress| {
                progress.exit = Some(record);
            }),
            Ok(Message::Status { .. }) => {}
            Err(error) => tracing::debug!(%error, "a keeper's message that is not understood"),
        }
    }
}
