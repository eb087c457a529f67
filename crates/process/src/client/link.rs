//! One connection to a keeper: calls out, answers and news in.

use std::{collections::HashMap, path::PathBuf};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::Child,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::attach::{self, Found};
use crate::{
    ExitRecord, ProcessError, Stream as Output,
    socket::{self, Reader, Stream, Writer},
    wire::{Call, Message, Request},
};

/// A connection that breaks this often is not worth another one.
const RECONNECTS: usize = 100;

/// What is known of the child's output and end.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    stdout: u64,
    stderr: u64,
    trouble: Option<String>,
    /// What is left of the tree, once the rest is proved dead.
    gone: Option<Vec<u32>>,
    pub exit: Option<ExitRecord>,
}

impl Progress {
    /// Bytes of a stream that readers can see, as last told.
    pub fn written(&self, stream: Output) -> u64 {
        match stream {
            Output::Stdout => self.stdout,
            Output::Stderr => self.stderr,
        }
    }
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
    pub fn open(dir: PathBuf, stream: Stream, child: Option<Child>) -> Self {
        let (reader, writer) = socket::split(stream);
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
        Self { calls, progress, _actor: tasks }
    }

    /// The keeper has ended already.
    pub fn over(record: ExitRecord) -> Self {
        let (_, progress) = watch::channel(Progress { exit: Some(record), ..Progress::default() });
        Self { calls: mpsc::channel(1).0, progress, _actor: JoinSet::new() }
    }

    pub async fn call(&self, request: Request) -> Result<(), ProcessError> {
        loop {
            let (answer, answered) = oneshot::channel();
            let call = (request.clone(), answer);
            self.calls.send(call).await.map_err(|_| ProcessError::Gone)?;
            match answered.await {
                Ok(answer) => return answer.map_err(ProcessError::Refused),
                // The connection broke before the answer came, and is being made again.
                Err(_) if request.may_be_repeated() && self.progress.borrow().exit.is_none() => {}
                Err(_) => return Err(ProcessError::Gone),
            }
        }
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    pub async fn in_trouble(&self) -> String {
        let mut progress = self.progress.clone();
        let seen = progress.wait_for(|progress| progress.trouble.is_some()).await;
        match seen.ok().and_then(|progress| progress.trouble.clone()) {
            Some(text) => text,
            None => std::future::pending().await,
        }
    }

    pub fn trouble(&self) -> Option<String> {
        self.progress.borrow().trouble.clone()
    }

    /// What is left of the tree when the rest is dead.
    pub async fn gone(&self) -> Vec<u32> {
        let mut progress = self.progress.clone();
        let over = |progress: &Progress| progress.gone.is_some() || progress.exit.is_some();
        match progress.wait_for(over).await.ok().and_then(|progress| progress.gone.clone()) {
            Some(left) => left,
            None => self.exited().await.left,
        }
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
    lines: Lines<BufReader<Reader>>,
    writer: Writer,
    news: watch::Sender<Progress>,
    open: HashMap<u64, Answer>,
    seq: u64,
}

impl Actor {
    async fn run(mut self, mut orders: mpsc::Receiver<(Request, Answer)>, child: Option<Child>) {
        let record = self.follow(&mut orders).await;
        // The end is known before the last callers hear that nobody answers.
        self.news.send_modify(|progress| progress.exit = Some(record));
        drop(orders);
        if let Some(mut child) = child {
            let _ = child.wait().await;
        }
    }

    /// Talks until the end is known. A connection that breaks while the keeper lives is made again;
    /// who waits for an answer then hears that there will be none.
    async fn follow(&mut self, orders: &mut mpsc::Receiver<(Request, Answer)>) -> ExitRecord {
        for _ in 0..RECONNECTS {
            if self.send(Request::Attach, None).await.is_ok() {
                self.talk(orders).await;
            }
            self.open.clear();
            let told = self.news.borrow().exit.clone();
            if let Some(record) = told {
                return record;
            }
            match attach::find(&self.dir).await {
                Ok(Found::Listening(stream)) => self.reconnect(stream),
                Ok(Found::Ended(record)) => return record,
                Ok(Found::Dead) | Err(_) => break,
            }
        }
        attach::end_of(self.dir.clone()).await
    }

    fn reconnect(&mut self, stream: Stream) {
        let (reader, writer) = socket::split(stream);
        self.lines = BufReader::new(reader).lines();
        self.writer = writer;
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
            Ok(Message::Gone { left }) => {
                self.news.send_modify(|progress| progress.gone = Some(left));
            }
            Ok(Message::Exited(record)) => self.news.send_modify(|progress| {
                progress.exit = Some(record);
            }),
            Ok(Message::Status { .. }) => {}
            Err(error) => tracing::debug!(%error, "a keeper's message that is not understood"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        io::{BufRead, BufReader as StdReader, Write},
        path::Path,
        thread,
    };

    use super::*;
    use crate::socket;

    /// Plays a keeper that drops its first client in the middle of a call and serves the second one.
    fn keeper_that_drops_one(dir: &Path) -> thread::JoinHandle<()> {
        let listener = socket::bind(dir).unwrap();
        listener.set_nonblocking(false).unwrap();
        thread::spawn(move || {
            let (first, _) = listener.accept().unwrap();
            assert_eq!(StdReader::new(&first).lines().take(2).count(), 2);
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            for line in StdReader::new(second.try_clone().unwrap()).lines().take(2) {
                let call: Call = serde_json::from_str(&line.unwrap()).unwrap();
                let reply = Message::Reply { seq: call.seq, error: None };
                writeln!(second, "{}", serde_json::to_string(&reply).unwrap()).unwrap();
            }
            let mut record = attach::unknown_end();
            record.code = Some(0);
            let end = serde_json::to_string(&Message::Exited(record)).unwrap();
            writeln!(second, "{{\"of_the_future\":1}}\n{end}").unwrap();
        })
    }

    #[tokio::test]
    async fn a_link_that_breaks_is_made_again_and_the_call_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper_that_drops_one(dir.path());
        let stream = socket::connect(dir.path()).unwrap();
        let link = Link::open(dir.path().to_owned(), stream, None);
        link.call(Request::CloseInput).await.unwrap();
        assert_eq!(link.exited().await.code, Some(0));
        assert!(matches!(link.call(Request::CloseInput).await, Err(ProcessError::Gone)));
        keeper.join().unwrap();
    }
}
