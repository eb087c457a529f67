//! Tools that do nothing but note what was done with them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use musher_protocol::{PermissionMode, ToolKind};
use musher_runtime::{Call, Effect, Intent, ToolHost, ToolOutcome, ToolSpec, Verdict};
use serde_json::json;
use tokio::sync::{Barrier, watch};
use tokio_util::sync::CancellationToken;

/// What there is: a name, whether it only reads, and how it is judged.
const TOOLS: [(&str, Effect, Judged); 11] = [
    ("read_file", Effect::Reads, Judged::Allowed),
    // Two of these end only together.
    ("meet", Effect::Reads, Judged::Allowed),
    ("change", Effect::Changes, Judged::Allowed),
    ("ask", Effect::Changes, Judged::Asked),
    ("forbidden", Effect::Changes, Judged::Denied),
    ("panic", Effect::Changes, Judged::Allowed),
    // Has something to say to a person.
    ("warn", Effect::Changes, Judged::Allowed),
    // Breaks, or never ends, when it is only looked at.
    ("panic_at_sight", Effect::Changes, Judged::Allowed),
    ("hang_at_sight", Effect::Changes, Judged::Allowed),
    // Ends when it is stopped.
    ("hang", Effect::Changes, Judged::Allowed),
    // Does not even end then.
    ("deaf", Effect::Changes, Judged::Allowed),
];

#[derive(Clone, Copy)]
enum Judged {
    Allowed,
    Asked,
    Denied,
}

pub struct Tools {
    /// How often each call was begun, by its id.
    begun: watch::Sender<BTreeMap<String, usize>>,
    /// How often a call was looked at that never ends.
    looked: watch::Sender<usize>,
    /// Calls that run now.
    running: AtomicUsize,
    /// What happened beside a change.
    overlaps: Mutex<Vec<String>>,
    pair: Barrier,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            begun: watch::Sender::default(),
            looked: watch::Sender::default(),
            running: AtomicUsize::new(0),
            overlaps: Mutex::default(),
            pair: Barrier::new(2),
        }
    }
}

impl Tools {
    pub fn begun(&self) -> BTreeMap<String, usize> {
        self.begun.borrow().clone()
    }

    pub async fn until_begun(&self, count: usize) {
        let mut begun = self.begun.subscribe();
        let enough = begun.wait_for(|it| it.values().sum::<usize>() >= count);
        tokio::time::timeout(super::harness::SOON, enough).await.expect("it begins").unwrap();
    }

    pub async fn until_looked_at(&self) {
        let mut looked = self.looked.subscribe();
        let once = looked.wait_for(|it| *it > 0);
        tokio::time::timeout(super::harness::SOON, once).await.expect("it is looked at").unwrap();
    }

    /// What ran beside something that changes.
    pub fn overlaps(&self) -> Vec<String> {
        self.overlaps.lock().unwrap().clone()
    }

    async fn act(&self, call: &Call, stop: CancellationToken) -> ToolOutcome {
        match call.name.as_str() {
            "meet" => match tokio::time::timeout(Duration::from_secs(5), self.pair.wait()).await {
                Ok(_) => ToolOutcome::text("met"),
                Err(_) => ToolOutcome::error("nobody came"),
            },
            "panic" => panic!("a tool that is broken"),
            "warn" => {
                let warnings = vec!["The server was started again.".to_owned()];
                ToolOutcome { warnings, ..ToolOutcome::text("notes") }
            }
            "hang" => {
                stop.cancelled().await;
                ToolOutcome::error("stopped")
            }
            "deaf" => std::future::pending().await,
            _ => {
                // Time enough for another one to come in, if it may.
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                ToolOutcome::text("notes")
            }
        }
    }
}

#[async_trait]
impl ToolHost for Tools {
    fn specs(&self, mode: PermissionMode) -> Vec<ToolSpec> {
        let parameters = json!({
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": false,
        });
        let spec = |name: &str| ToolSpec {
            name: name.into(),
            description: "Notes that it was called.".into(),
            parameters: parameters.clone(),
        };
        let is_offered = |effect: &Effect| mode != PermissionMode::Plan || *effect == Effect::Reads;
        TOOLS.iter().filter(|it| is_offered(&it.1)).map(|(name, ..)| spec(name)).collect()
    }

    async fn intent(&self, call: &Call, mode: PermissionMode) -> Result<Intent, String> {
        let (_, effect, judged) = TOOLS
            .into_iter()
            .find(|(name, ..)| *name == call.name)
            .ok_or("There is no such tool.")?;
        match call.name.as_str() {
            "panic_at_sight" => panic!("a tool that is broken"),
            "hang_at_sight" => {
                self.looked.send_modify(|looked| *looked += 1);
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        let title = call.input["path"].as_str().ok_or("`path` is missing.")?.to_owned();
        let reason = "as the test has it".to_owned();
        let verdict = match judged {
            _ if mode == PermissionMode::Plan && effect == Effect::Changes => {
                Verdict::Deny { reason: "the mode is plan".into() }
            }
            Judged::Allowed => Verdict::Allow { reason },
            Judged::Asked => Verdict::Ask { reason },
            Judged::Denied => Verdict::Deny { reason },
        };
        Ok(Intent { kind: ToolKind::Other, title, effect, verdict })
    }

    async fn call(&self, call: &Call, stop: CancellationToken) -> ToolOutcome {
        self.begun.send_modify(|begun| *begun.entry(call.id.clone()).or_default() += 1);
        let changes = TOOLS.iter().any(|it| it.0 == call.name && it.1 == Effect::Changes);
        let before = self.running.fetch_add(1, Ordering::SeqCst);
        let outcome = self.act(call, stop).await;
        let after = self.running.fetch_sub(1, Ordering::SeqCst);
        if changes && (before, after) != (0, 1) {
            self.overlaps.lock().unwrap().push(call.id.clone());
        }
        outcome
    }

    async fn end_left_over(&self) -> Vec<u32> {
        Vec::new()
    }
}
