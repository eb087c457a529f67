//! The child's streams. Every future here may be dropped half-way without losing a byte: `tokio` reads
//! and writes a pipe on a thread of its own and keeps what is on the way.

use std::{future::pending, time::Instant};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::ChildStdin,
};

use super::super::{
    copier::{BATCH, Copier},
    input::{Answer, Input},
};

pub struct Stdin {
    pipe: ChildStdin,
    /// Handed to the thread that writes; in the child's pipe once it is flushed.
    on_its_way: usize,
}

impl Stdin {
    pub fn new(pipe: ChildStdin) -> Self {
        Self { pipe, on_its_way: 0 }
    }

    async fn send(&mut self, text: &[u8]) -> std::io::Result<usize> {
        if self.on_its_way == 0 {
            self.on_its_way = self.pipe.write(text).await?;
        }
        self.pipe.flush().await?;
        Ok(std::mem::take(&mut self.on_its_way))
    }
}

impl Input<Stdin> {
    /// Nothing yet: the loop feeds the child.
    pub fn write(&mut self) -> Vec<Answer> {
        Vec::new()
    }

    /// Writes the next part, when the child takes it.
    pub async fn feed(&mut self) -> Vec<Answer> {
        let sent = match self.next() {
            Some((pipe, text)) => pipe.send(text).await,
            None => pending().await,
        };
        match sent {
            Ok(count) => self.took(count),
            Err(_) => self.close(),
        }
    }
}

impl<S: AsyncRead + Unpin> Copier<S> {
    /// Waits for bytes and writes them. Only while nothing is unwritten.
    pub async fn listen(&mut self) {
        let Some(source) = &mut self.source else { return pending().await };
        self.batch.clear();
        self.taken = 0;
        self.batch.reserve_exact(BATCH);
        // The end of a pipe is an error on Windows.
        if !matches!(source.read_buf(&mut self.batch).await, Ok(1..)) {
            self.source = None;
        }
        self.write_out(Instant::now());
    }
}
