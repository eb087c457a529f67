//! Reads what a process says, decodes it and hands it to the sink, batch by batch; notices when it
//! says nothing for too long.

use std::{future::pending, time::Duration};

use futures::FutureExt;
use musher_process::{ProcessError, SpoolReader, Stream};
use musher_protocol::{AgentEvent, RunLimit};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    checkpoint::{Checkpoint, Checkpoints},
    command,
    decode::{Cue, Decoded, Decoder, DecoderConfig, Facts},
    live::Live,
    outcome::Cause,
    process::{Child, Drive},
    writer::Word,
};
use crate::{EventSink, RuntimeError, Sourced, ToolEndpoint};

/// So much input makes one batch, or so many events.
const BATCH_BYTES: usize = 64 << 10;
const BATCH_EVENTS: usize = 512;

/// Without a byte for so long after its start, a process will not say anything. The real one names its
/// session within a second.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where a process stands when its reading begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    /// It has just been started.
    pub fresh: bool,
    /// Bytes that the run's earlier process said. Offsets count on over them.
    pub base: u64,
    /// Events of lines up to here are stored already.
    pub stored_to: u64,
    pub demo: bool,
}

pub(super) struct Pump<'a> {
    child: &'a Child,
    live: &'a Live,
    sink: &'a EventSink,
    words: &'a mpsc::Sender<Word>,
    reader: SpoolReader,
    config: DecoderConfig,
    decoder: Decoder,
    tools: Option<&'a dyn ToolEndpoint>,
    checkpoints: Checkpoints,
    start: Start,
    silence_limit: Option<Duration>,
    cost_limit: Option<u64>,
    /// It said something since this reading began.
    heard: bool,
    /// A person was told that its output is not taken.
    stalled: bool,
    /// Its keeper was given up: what it has stored is the end.
    abandoned: bool,
    /// When it said something last, or something was said to it.
    last: Instant,
}

impl<'a> Pump<'a> {
    pub async fn new(drive: &Drive<'a>) -> Self {
        let config = DecoderConfig {
            cwd: drive.context.cwd.to_string_lossy().into_owned(),
            demo: drive.start.demo,
            resumed: drive.opening.resume.is_some(),
        };
        let stored = drive.start.stored_to.saturating_sub(drive.start.base);
        let saved = Checkpoint::load(&drive.child.dir).await;
        // One from ahead of the transcript would skip events; it cannot be, but for a lost disk write.
        let from = saved.filter(|saved| saved.offset <= stored).unwrap_or_default();
        let inactivity = drive.context.inactivity_timeout_secs;
        drive.live.set_busy(true);
        Self {
            child: drive.child,
            live: drive.live,
            sink: drive.sink,
            words: drive.words,
            reader: drive.child.output(Stream::Stdout, from.offset),
            decoder: Decoder::restore(config.clone(), from.offset, from.state),
            config,
            tools: drive.context.tools.endpoint.as_deref(),
            checkpoints: Checkpoints::new(
                drive.child.dir.clone(),
                drive.child.keeper().cloned(),
                from.offset,
            ),
            start: drive.start,
            silence_limit: (inactivity > 0).then(|| Duration::from_secs(inactivity)),
            cost_limit: drive.context.limits.max_cost_microdollars,
            heard: false,
            stalled: false,
            abandoned: false,
            last: Instant::now(),
        }
    }

    pub fn facts(&self) -> Facts {
        self.decoder.facts().clone()
    }

    /// Reads to the end: the whole tree is gone and nothing is left to read.
    pub async fn run(&mut self) -> Result<(), RuntimeError> {
        self.note_place();
        let mut bytes = Vec::new();
        loop {
            let silence = self.silence();
            if bytes.is_empty() && self.reader.read(&mut bytes).now_or_never().is_none() {
                self.live.drain();
            } else if !bytes.is_empty() {
                self.take(&bytes).await?;
                bytes.clear();
                continue;
            }
            tokio::select! {
                biased;
                read = self.reader.read(&mut bytes) => match read {
                    Ok(0) | Err(ProcessError::Gone) => break,
                    Ok(_) => {
                        self.take(&bytes).await?;
                        bytes.clear();
                    }
                    Err(ProcessError::Released { oldest, .. }) => self.skip_to(oldest).await?,
                    Err(error) => return Err(RuntimeError::Process(error.to_string())),
                },
                () = self.live.abandoned(), if !self.abandoned => {
                    self.abandoned = true;
                    self.reader.expect_no_more();
                }
                () = self.live.moved() => self.last = Instant::now(),
                why = in_trouble(self.child), if !self.stalled => self.tell_stall(why).await?,
                cause = too_silent(silence) => self.is_silent(cause),
            }
        }
        let rest = self.decoder.finish();
        let ended = self.hand_over(rest).await;
        self.live.drain();
        ended
    }

    /// The keeper takes no more output (a full disk): the agent waits, and nothing is lost.
    async fn tell_stall(&mut self, why: String) -> Result<(), RuntimeError> {
        self.stalled = true;
        self.sink.say(AgentEvent::Warning { code: "output_stalled".into(), message: why }).await?;
        self.last = Instant::now();
        Ok(())
    }

    /// Silence that nobody is to blame for: an agent whose output is not taken cannot speak. From the
    /// end of that on, its time runs anew.
    fn is_silent(&mut self, cause: Cause) {
        let in_trouble = self.child.keeper().is_some_and(|keeper| keeper.trouble().is_some());
        if self.stalled || in_trouble {
            self.stalled = in_trouble;
            self.last = Instant::now();
        } else {
            self.live.end(cause);
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), RuntimeError> {
        for piece in bytes.chunks(BATCH_BYTES) {
            let decoded = self.decoder.feed(piece);
            self.hand_over(decoded).await?;
            self.checkpoints.settle(&self.decoder).await;
        }
        self.heard = true;
        self.stalled &= self.child.keeper().is_some_and(|keeper| keeper.trouble().is_some());
        self.last = Instant::now();
        Ok(())
    }

    async fn hand_over(&mut self, decoded: Decoded) -> Result<(), RuntimeError> {
        self.heed(decoded.cues);
        self.note_place();
        let mut events = self.not_stored(decoded.events);
        self.follow_mode(&events);
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(BATCH_EVENTS));
            self.sink.emit(events).await?;
            self.checkpoints.note_batch();
            events = rest;
        }
        let cost = self.decoder.facts().usage.cost_microdollars;
        if self.cost_limit.is_some_and(|limit| cost >= limit) {
            self.live.end(Cause::Limit(RunLimit::Money));
        }
        Ok(())
    }

    /// The agent's mode can change by its own doing: a plan that was agreed to ends `plan`.
    fn follow_mode(&self, events: &[Sourced]) {
        let Some(tools) = self.tools else { return };
        let mut modes = events.iter().rev().filter_map(|sourced| match &sourced.event {
            AgentEvent::Session(session) => session.permission_mode.as_deref(),
            _ => None,
        });
        if let Some(name) = modes.next() {
            command::set_mode(tools, command::mode_of(name));
        }
    }

    fn heed(&mut self, cues: Vec<Cue>) {
        for cue in cues {
            match cue {
                Cue::Asks => self.live.set_asks(self.decoder.state().asks.clone()),
                Cue::TurnEnded => self.live.set_busy(self.decoder.facts().turn_open),
                Cue::Unanswerable { request, subtype } => {
                    let full = self.words.try_send(Word::Refuse { request, subtype }).is_err();
                    if full {
                        tracing::warn!("the agent asks more than it listens to answers");
                    }
                }
            }
        }
        if self.decoder.facts().turn_open && !self.live.is_busy() {
            self.live.set_busy(true);
        }
    }

    fn note_place(&self) {
        if self.start.base + self.decoder.offset() >= self.start.stored_to {
            self.live.catch_up();
        }
    }

    /// Leaves out the lines whose events are stored, and makes offsets count over the whole run.
    fn not_stored(&self, events: Vec<Sourced>) -> Vec<Sourced> {
        let Start { base, stored_to, .. } = self.start;
        if stored_to == 0 && base == 0 {
            return events;
        }
        let mut kept = Vec::with_capacity(events.len());
        let mut line = 0;
        for mut sourced in events {
            let end = sourced.spool.filter(|end| *end > 0).map(|end| base + end);
            if end.is_some() {
                sourced.spool = end;
            }
            kept.push(sourced);
            match end {
                Some(end) if end <= stored_to => kept.truncate(line),
                Some(_) => line = kept.len(),
                None => {}
            }
        }
        kept
    }

    /// Output that was released is gone: go on with what there is.
    async fn skip_to(&mut self, oldest: u64) -> Result<(), RuntimeError> {
        let lost = oldest.saturating_sub(self.reader.position());
        self.reader = self.child.output(Stream::Stdout, oldest);
        let state = self.decoder.state().clone();
        self.decoder = Decoder::restore(self.config.clone(), oldest, state);
        let message = format!("{lost} bytes of the agent's output are no longer there.");
        self.sink.say(AgentEvent::Warning { code: "output_lost".into(), message }).await
    }

    /// When it was silent for too long, and what the end is called then. Waiting for a person is no
    /// silence, and neither is waiting for the next message.
    fn silence(&self) -> Option<(Instant, Cause)> {
        if self.live.is_ending() {
            return None;
        }
        let counts =
            (self.live.is_busy() || self.live.input_ended()) && !self.live.waits_for_person();
        let limit = match self.silence_limit.filter(|_| counts) {
            Some(limit) if self.heard || !self.start.fresh => limit,
            Some(limit) => limit.min(START_LIMIT),
            None if self.start.fresh && !self.heard => START_LIMIT,
            None => return None,
        };
        let last_event = match self.decoder.facts().last_event.as_str() {
            "" => "start".to_owned(),
            event => event.to_owned(),
        };
        Some((self.last + limit, Cause::Inactive { after_secs: limit.as_secs(), last_event }))
    }
}

async fn too_silent(silence: Option<(Instant, Cause)>) -> Cause {
    match silence {
        Some((at, cause)) => {
            sleep_until(at).await;
            cause
        }
        None => pending().await,
    }
}

async fn in_trouble(child: &Child) -> String {
    match child.keeper() {
        Some(keeper) => keeper.in_trouble().await,
        None => pending().await,
    }
}
