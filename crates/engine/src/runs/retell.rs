//! What a new session is told of the old one.

use std::path::PathBuf;

use musher_protocol::*;
use musher_store::fold_transcript;

use crate::Engine;

impl Engine {
    /// The words that a run was to begin with.
    pub(super) async fn first_words(&self, run: &RunId) -> Option<String> {
        let path = self.core.store.transcript_path(run);
        let read = tokio::task::spawn_blocking(move || {
            let mut words = None;
            fold_transcript(&path, |envelope| {
                if let AgentEvent::Message { text, delivery: Delivery::Prompt, .. } = envelope.event
                {
                    words.get_or_insert(text);
                }
            })
            .ok()?;
            words
        });
        read.await.ok().flatten()
    }

    /// What a new session must know when the old one is gone: the conversation as the transcripts
    /// have it, then the new words. `run` is the one that they begin, where it has a transcript.
    pub(super) async fn retold(
        &self,
        story: &StoryId,
        prompt: &str,
        run: Option<&RunId>,
    ) -> Result<String, ApiError> {
        let runs = self.core.store.runs_of(story).await?;
        let earlier = runs.iter().filter(|earlier| Some(&earlier.id) != run);
        let paths: Vec<PathBuf> =
            earlier.map(|run| self.core.store.transcript_path(&run.id)).collect();
        let told = tokio::task::spawn_blocking(move || retell(&paths)).await.unwrap_or_default();
        Ok(format!(
            "This goes on from an earlier conversation that is no longer at hand. What was said and \
             done, oldest first:\n\n{told}\n\nThe files are as that work left them. Now:\n\n{prompt}"
        ))
    }
}

/// The most that is told of an earlier conversation: its end counts.
const RETOLD_BYTES: usize = 48 << 10;

fn retell(paths: &[PathBuf]) -> String {
    let mut told = Vec::new();
    for path in paths {
        // A transcript that cannot be read is left out: the words that are left still help.
        let _ = fold_transcript(path, |envelope| match envelope.event {
            AgentEvent::Message { text, .. } => told.push(format!("Person: {text}")),
            AgentEvent::Text { text, delta: false, parent: None, .. } => {
                told.push(format!("You: {text}"));
            }
            AgentEvent::ToolCall(call) => {
                told.push(format!("You used {}: {}", call.name, call.title))
            }
            _ => {}
        });
    }
    let mut kept = Vec::new();
    let mut bytes = 0;
    for line in told.into_iter().rev() {
        bytes += line.len();
        if bytes > RETOLD_BYTES {
            kept.push("(earlier parts are left out)".to_owned());
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}
