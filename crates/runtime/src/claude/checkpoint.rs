//! Lets spool segments go: where the decoder was, saved once everything before is stored.

use std::{collections::VecDeque, path::PathBuf};

use musher_process::{Keeper, Stream};
use serde::{Deserialize, Serialize};

use super::{
    decode::{Decoder, DecoderState},
    opening::{load, save},
};
use crate::{MOST_WAITING, SINK_DEPTH};

pub(super) const FILE: &str = "decoder.json";

/// So much output between two checkpoints.
const DISTANCE: u64 = 4 << 20;

/// A batch that the sink took is stored for sure when so many more were taken: `SINK_DEPTH` may wait
/// in the sink, and whoever empties it may hold as many, and let [`MOST_WAITING`] wait.
const BEHIND: u64 = (2 * SINK_DEPTH + MOST_WAITING) as u64;

/// A decoder's state at a place in the spool.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub offset: u64,
    pub state: DecoderState,
}

impl Checkpoint {
    pub async fn load(dir: &std::path::Path) -> Option<Self> {
        load(dir, FILE).await
    }
}

/// Takes checkpoints, and saves each when it holds.
pub(super) struct Checkpoints {
    dir: PathBuf,
    keeper: Option<Keeper>,
    /// Offset of the newest one.
    newest: u64,
    batches: u64,
    /// With the number of the batch that each follows.
    waiting: VecDeque<(u64, Checkpoint)>,
}

impl Checkpoints {
    /// Without a keeper nothing grows, so nothing is released.
    pub fn new(dir: PathBuf, keeper: Option<Keeper>, from: u64) -> Self {
        Self { dir, keeper, newest: from, batches: 0, waiting: VecDeque::new() }
    }

    /// The sink took one more batch.
    pub fn note_batch(&mut self) {
        self.batches += 1;
    }

    /// Everything decoded so far was handed to the sink.
    pub async fn settle(&mut self, decoder: &Decoder) {
        let Some(keeper) = &self.keeper else { return };
        if decoder.offset() >= self.newest + DISTANCE {
            let (offset, state) = decoder.checkpoint();
            self.newest = offset;
            self.waiting.push_back((self.batches, Checkpoint { offset, state }));
        }
        let holds = |waiting: &(u64, Checkpoint)| self.batches >= waiting.0 + BEHIND;
        let count = self.waiting.iter().take_while(|waiting| holds(waiting)).count();
        let Some((_, checkpoint)) = self.waiting.drain(..count).next_back() else { return };
        match save(&self.dir, FILE, &checkpoint).await {
            Ok(()) => keeper.release(Stream::Stdout, checkpoint.offset).await,
            Err(error) => tracing::warn!(%error, "the agent's output is kept longer"),
        }
    }
}
