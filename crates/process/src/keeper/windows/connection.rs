//! One engine's end of the named pipe: a task that reads its calls and one that writes to it.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    super::clients::{LONGEST_CALL, lines_in},
    events::Event,
};
use crate::socket::Accepted;

/// Messages that wait for an engine that does not read.
const MOST_UNREAD: usize = 1024;

pub struct Connection {
    outbox: mpsc::Sender<Vec<u8>>,
    flooded: bool,
    writer: JoinSet<()>,
    _reader: JoinSet<()>,
}

impl Connection {
    pub fn open(stream: Accepted, id: u64, events: mpsc::Sender<Event>) -> Self {
        let (reader, mut pipe) = stream.split();
        let (outbox, mut messages) = mpsc::channel::<Vec<u8>>(MOST_UNREAD);
        let mut writer = JoinSet::new();
        writer.spawn(async move {
            while let Some(message) = messages.recv().await {
                if pipe.write_all(&message).await.is_err() {
                    return;
                }
            }
            // Closing the pipe would throw away what the engine has not read.
            let _ = pipe.flush().await;
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(receive(reader, id, events));
        Self { outbox, flooded: false, writer, _reader: tasks }
    }

    pub fn has_unsent(&self) -> bool {
        self.outbox.capacity() < self.outbox.max_capacity()
    }

    pub fn is_gone(&self) -> bool {
        self.flooded || self.outbox.is_closed()
    }

    pub fn send(&mut self, line: &[u8]) {
        self.flooded |= self.outbox.try_send(line.to_owned()).is_err();
    }

    /// Returns when everything was read, or the engine is gone.
    pub async fn finish(mut self) {
        drop(self.outbox);
        while self.writer.join_next().await.is_some() {}
    }
}

async fn receive(
    mut pipe: impl tokio::io::AsyncRead + Unpin,
    client: u64,
    events: mpsc::Sender<Event>,
) {
    let mut received = Vec::new();
    while received.len() <= LONGEST_CALL {
        let Ok(count @ 1..) = pipe.read_buf(&mut received).await else { break };
        for line in lines_in(&mut received, count) {
            if events.send(Event::Call { client, line }).await.is_err() {
                return;
            }
        }
    }
    let _ = events.send(Event::Left { client }).await;
}
