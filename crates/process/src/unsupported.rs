//! The same names where no keeper exists yet: starting and attaching say so. A [`Keeper`] cannot be
//! made, so that nothing else of it can be called.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{Ending, ExitRecord, ProcessError, Signal, SpawnSpec, Stream};

const STARTING: ProcessError = ProcessError::Unsupported("starting agents");

#[derive(Clone)]
pub struct Keeper(Infallible);

pub struct SpoolReader {
    position: u64,
}

pub enum Attached {
    Live(Keeper),
    Ended(ExitRecord),
    Lost { killed: Vec<u32>, left: Vec<u32> },
}

impl Keeper {
    pub async fn start(_run_dir: &Path, _spec: SpawnSpec) -> Result<Self, ProcessError> {
        Err(STARTING)
    }

    pub async fn start_with(
        _keeper: &Path,
        _run_dir: &Path,
        _spec: SpawnSpec,
    ) -> Result<Self, ProcessError> {
        Err(STARTING)
    }

    pub async fn attach(_run_dir: &Path) -> Result<Attached, ProcessError> {
        Err(STARTING)
    }

    pub fn child(&self) -> Option<u32> {
        match self.0 {}
    }

    pub fn output(&self, _stream: Stream, _from: u64) -> SpoolReader {
        match self.0 {}
    }

    pub async fn input(&self, _id: &str, _text: &str) -> Result<(), ProcessError> {
        match self.0 {}
    }

    pub async fn close_input(&self) -> Result<(), ProcessError> {
        match self.0 {}
    }

    pub async fn resize(&self, _cols: u16, _rows: u16) -> Result<(), ProcessError> {
        match self.0 {}
    }

    pub async fn signal(&self, _signal: Signal) -> Result<(), ProcessError> {
        match self.0 {}
    }

    pub async fn end(&self, _ending: Ending) -> Result<ExitRecord, ProcessError> {
        match self.0 {}
    }

    pub async fn exited(&self) -> ExitRecord {
        match self.0 {}
    }

    pub fn trouble(&self) -> Option<String> {
        match self.0 {}
    }

    pub async fn release(&self, _stream: Stream, _to: u64) {
        match self.0 {}
    }
}

impl SpoolReader {
    pub fn of_ended(_run_dir: impl Into<PathBuf>, _stream: Stream, from: u64) -> Self {
        Self { position: from }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub async fn read(&mut self, _out: &mut Vec<u8>) -> Result<usize, ProcessError> {
        Err(STARTING)
    }
}

pub fn clean(_run_dir: &Path) -> Result<(), ProcessError> {
    Err(STARTING)
}

pub fn keeper_program() -> Result<PathBuf, ProcessError> {
    Err(STARTING)
}

pub fn keeper_main() -> ExitCode {
    eprintln!("{STARTING}");
    ExitCode::FAILURE
}
