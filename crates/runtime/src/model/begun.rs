//! Which calls may have had an effect although nobody knows their end: those that had leave. A leave is
//! stored before it is used, so a call that has none in its run's transcript was never begun.

use std::collections::BTreeSet;

use musher_protocol::{AgentEvent, PermissionDecision, ToolVerdict};

use super::calls::leave_of;

/// What a call that nobody knows the end of is answered with.
pub const INTERRUPTED: &str = "Interrupted before it had a result: whether it had an effect is \
                               unknown. Look before you do it again.";

/// The same of one that had no leave.
pub const NEVER_BEGUN: &str = "Never begun: the turn ended before this call was allowed, so it had no \
                               effect. Call it again if it is still needed.";

/// The leaves of one run of an agent whose calls are judged here.
#[derive(Debug, Default)]
pub struct Begun {
    /// Calls that were allowed, and requests that were granted.
    leaves: BTreeSet<String>,
}

impl Begun {
    pub fn heed(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::ToolDecision(decided) if decided.verdict == ToolVerdict::Allowed => {
                self.leaves.insert(decided.tool_call.clone());
            }
            AgentEvent::PermissionAnswer { request, decision, .. }
                if *decision == PermissionDecision::Allow =>
            {
                self.leaves.insert(request.clone());
            }
            _ => {}
        }
    }

    /// What a call without a result is answered with.
    pub fn answer(&self, call: &str) -> &'static str {
        match self.leaves.contains(call) || self.leaves.contains(&leave_of(call)) {
            true => INTERRUPTED,
            false => NEVER_BEGUN,
        }
    }
}
