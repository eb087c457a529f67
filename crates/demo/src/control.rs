//! Control requests of the host, answered at any moment.

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Played, Stop},
    wire::{VERSION, merge},
};

impl Agent {
    /// Answers one request; an interrupt stops what is played.
    pub fn control(&mut self, id: &str, request: &Value) -> Played {
        match request["subtype"].as_str().unwrap_or_default() {
            "initialize" => self.succeed(id, self.introduction()),
            "interrupt" => return self.interrupt(id),
            "set_model" => self.set_model(id, request["model"].as_str()),
            "set_permission_mode" => {
                self.set_mode(id, request["mode"].as_str().unwrap_or_default())
            }
            other => self.fail(
                id,
                &format!("Unsupported control request subtype: {other}"),
                "unsupported_request",
            ),
        }
        Ok(())
    }

    fn interrupt(&mut self, id: &str) -> Played {
        let queued: Vec<_> = self.queue.iter().filter_map(|message| message.uuid.clone()).collect();
        self.succeed(id, json!({"still_queued": queued}));
        if self.turn.as_ref().is_some_and(|turn| !turn.over) {
            Err(Stop::Interrupt)
        } else {
            Ok(())
        }
    }

    fn set_model(&mut self, id: &str, model: Option<&str>) {
        self.wire.model = model.unwrap_or(crate::wire::MODEL).to_owned();
        self.succeed(id, json!({"model": self.wire.model}));
    }

    fn set_mode(&mut self, id: &str, mode: &str) {
        match mode {
            "bypassPermissions" if !self.args.bypass && self.mode != mode => self.fail(
                id,
                "Cannot set permission mode to bypassPermissions because the session was not launched with \
                 --dangerously-skip-permissions",
                "bypass_not_launched",
            ),
            "acceptEdits" | "auto" | "bypassPermissions" | "default" | "dontAsk" | "plan" => {
                self.succeed(id, json!({"mode": mode}));
                self.change_mode(mode);
            }
            _ => self.fail(
                id,
                "Cannot set permission mode: must be one of acceptEdits, auto, bypassPermissions, default, dontAsk, plan",
                "invalid_mode",
            ),
        }
    }

    pub fn change_mode(&mut self, mode: &str) {
        self.mode = mode.to_owned();
        self.print(&self.wire.system("status", json!({"status": null, "permissionMode": mode})));
    }

    fn introduction(&self) -> Value {
        json!({
            "commands": [], "agents": [], "models": [], "output_style": "default",
            "available_output_styles": ["default"],
            "account": {"tokenSource": "none", "apiKeySource": "none", "apiProvider": "demo"},
            "pid": std::process::id(), "claude_code_version": VERSION, "current_permission_mode": self.mode,
            "session_state": self.session_state(), "capabilities": [],
        })
    }

    fn succeed(&self, id: &str, response: Value) {
        self.respond(json!({"subtype": "success", "request_id": id, "response": response}));
    }

    fn fail(&self, id: &str, error: &str, code: &str) {
        self.respond(
            json!({"subtype": "error", "request_id": id, "error": error, "error_code": code}),
        );
    }

    fn respond(&self, response: Value) {
        let mut line = json!({"type": "control_response"});
        merge(&mut line, json!({"response": response}));
        self.print(&line);
    }
}
