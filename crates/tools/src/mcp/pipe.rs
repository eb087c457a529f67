//! A child under a keeper, as one stream of bytes: what it says comes out, what goes in is said to it.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use musher_process::{Keeper, ProcessError, Stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf},
    task::JoinSet,
};

use super::client::LARGEST_MESSAGE;
use crate::{show::visible, site::cut};

const BUFFER: usize = 64 << 10;
/// How much is read before the keeper is told that it may let go of it.
const RELEASE: u64 = 4 << 20;
const ERRORS_KEPT: usize = 4 << 10;

/// The tasks that carry the bytes; they end when it is dropped.
pub struct Pipe {
    known: Arc<Known>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Known {
    /// All that the child will ever say was read.
    ended: AtomicBool,
    trouble: OnceLock<String>,
    errors: Mutex<Vec<u8>>,
}

impl Pipe {
    pub fn open(keeper: &Keeper) -> (Self, DuplexStream) {
        let known = Arc::new(Known::default());
        let (theirs, ours) = tokio::io::duplex(BUFFER);
        let (to_child, from_child) = tokio::io::split(ours);
        let mut tasks = JoinSet::new();
        tasks.spawn(hear(keeper.clone(), from_child, known.clone()));
        tasks.spawn(say(keeper.clone(), to_child, known.clone()));
        tasks.spawn(hear_errors(keeper.clone(), known.clone()));
        (Self { known, _tasks: tasks }, theirs)
    }

    /// Whether the child has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.known.ended.load(Ordering::Acquire)
    }

    /// Why the bytes are carried no further, when that is not the child's end.
    pub fn trouble(&self) -> Option<&str> {
        self.known.trouble.get().map(String::as_str)
    }

    /// The last line of the child's standard error.
    pub fn last_error(&self) -> Option<String> {
        let errors = self.known.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&errors);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(cut(&visible(line), 200))
    }
}

impl Known {
    fn broke(&self, why: String) {
        let _ = self.trouble.set(why);
    }

    fn failed(&self, error: &ProcessError) {
        // That it has ended is told better by its end.
        if !matches!(error, ProcessError::Gone) {
            self.broke(error.to_string());
        }
    }

    fn keep_errors(&self, bytes: &[u8]) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.extend_from_slice(bytes);
        let over = errors.len().saturating_sub(ERRORS_KEPT);
        errors.drain(..over);
    }
}

async fn hear(keeper: Keeper, mut to: WriteHalf<DuplexStream>, known: Arc<Known>) {
    let mut reader = keeper.output(Stream::Stdout, 0);
    let (mut bytes, mut line, mut released) = (Vec::new(), 0, 0);
    loop {
        match reader.read(&mut bytes).await {
            Ok(0) => {
                known.ended.store(true, Ordering::Release);
                break;
            }
            Ok(_) => {}
            Err(error) => {
                known.failed(&error);
                break;
            }
        }
        line = longest(line, &bytes);
        if line > LARGEST_MESSAGE {
            known.broke(format!("it said more than {LARGEST_MESSAGE} bytes in one message"));
            break;
        }
        if to.write_all(&bytes).await.is_err() {
            break;
        }
        bytes.clear();
        if reader.position() - released > RELEASE {
            released = reader.position();
            keeper.release(Stream::Stdout, released).await;
        }
    }
    let _ = to.shutdown().await;
}

/// The length of the line that goes on after `bytes`, or of the longest that ended in them if that is
/// too long.
fn longest(before: usize, bytes: &[u8]) -> usize {
    match (memchr::memchr(b'\n', bytes), memchr::memrchr(b'\n', bytes)) {
        (Some(first), _) if before + first > LARGEST_MESSAGE => before + first,
        (_, Some(last)) => bytes.len() - last - 1,
        _ => before + bytes.len(),
    }
}

async fn say(keeper: Keeper, from: ReadHalf<DuplexStream>, known: Arc<Known>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    for id in 1_u64.. {
        match lines.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let said = keeper.input(&id.to_string(), &String::from_utf8_lossy(&line)).await;
        if let Err(error) = said {
            known.failed(&error);
            return;
        }
        line.clear();
    }
    let _ = keeper.close_input().await;
}

async fn hear_errors(keeper: Keeper, known: Arc<Known>) {
    let mut reader = keeper.output(Stream::Stderr, 0);
    let (mut bytes, mut released) = (Vec::new(), 0);
    while matches!(reader.read(&mut bytes).await, Ok(1..)) {
        known.keep_errors(&bytes);
        bytes.clear();
        if reader.position() - released > RELEASE {
            released = reader.position();
            keeper.release(Stream::Stderr, released).await;
        }
    }
}
