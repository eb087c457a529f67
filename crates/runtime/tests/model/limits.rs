//! What a run may use. Each limit is looked at before each request and each call; shortly before it the
//! agent is told to come to an end.

use musher_protocol::*;
use musher_runtime::AgentInput;
use musher_testkit::dialects::{
    Answer, Dialect, Item, Message, Oddity, Problem, Script, ScriptedEndpoint, TokenCount,
};
use serde_json::json;

use super::{harness::*, stops::*};

each_dialect! {
    prices_that_cannot_be_read_do_not_stop_a_local_model,
    turns,
    tool_calls,
    each_limit_is_told,
    tool_calls_of_one_answer,
    calls_that_cannot_be_done_count_too,
    calls_that_can_never_be_done_have_an_end,
    calls_that_fail_again_and_again_have_an_end,
    calls_that_fail_in_new_ways_go_on,
    calls_that_fail_in_a_round_have_an_end,
    a_success_in_the_round_goes_on,
    tokens,
    money_that_is_known,
    money_that_is_not_known,
    seconds,
    seconds_during_a_tool,
    what_does_not_stand_is_paid_for,
    what_a_stop_cuts_off_is_paid_for,
    what_an_interrupt_cuts_off_is_paid_for,
    what_a_crash_cuts_off_is_paid_for,
    what_breaks_off_is_paid_for,
    what_failed_counts_for_the_limits,
    what_is_cut_off_at_home_costs_nothing,
}

fn endless(dialect: Dialect) -> ScriptedEndpoint {
    ScriptedEndpoint::start(dialect, Script::repeating([calls("change")])).unwrap()
}

fn ended_by(over: &Over) -> RunLimit {
    match over.result.outcome {
        RunOutcome::LimitReached { limit } => limit,
        ref other => panic!("{other:?}"),
    }
}

/// After how many answers the agent was told to come to an end, for each time that it was.
fn told(over: &Over) -> Vec<usize> {
    let (mut steps, mut told) = (0, Vec::new());
    for event in &over.events {
        match event {
            AgentEvent::ModelStep(_) => steps += 1,
            AgentEvent::Instruction { .. } => told.push(steps),
            _ => {}
        }
    }
    told
}

fn steps(over: &Over) -> usize {
    over.count(|it| matches!(it, AgentEvent::ModelStep(_)))
}

/// What a usual answer takes.
const TOKENS: u64 = TokenCount::USUAL.input + TokenCount::USUAL.cached + TokenCount::USUAL.output;

async fn turns(dialect: Dialect) {
    let endpoint = endless(dialect);
    let limits = RunLimits { max_turns: Some(5), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    endpoint.check().unwrap();
    assert_eq!((ended_by(&over), steps(&over)), (RunLimit::Turns, 5));
    assert_eq!(told(&over), [4]);
    assert!(endpoint.turns()[4].body.to_string().contains("Come to an end now"));
}

async fn tool_calls(dialect: Dialect) {
    let endpoint = endless(dialect);
    let limits = RunLimits { max_tool_calls: Some(5), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!(ended_by(&over), RunLimit::ToolCalls);
    assert_eq!((over.setup.tools.begun().len(), told(&over)), (5, vec![4]));
}

async fn each_limit_is_told(dialect: Dialect) {
    let endpoint = endless(dialect);
    let max_tokens = Some(TOKENS * 11);
    let limits = RunLimits { max_tool_calls: Some(10), max_tokens, ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    // At 8 of 10 calls, then at 9/11 of the tokens.
    assert_eq!((ended_by(&over), told(&over)), (RunLimit::ToolCalls, vec![8, 9]));
}

async fn tool_calls_of_one_answer(dialect: Dialect) {
    let reads = (0..6).map(|at| Item::call("read_file", &json!({"path": at.to_string()})));
    let endpoint = serves(dialect, [Answer::says(reads)]);
    let limits = RunLimits { max_tool_calls: Some(4), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!(ended_by(&over), RunLimit::ToolCalls);
    assert_eq!(over.setup.tools.begun().len(), 4, "what is allowed is done, and no more");
    assert_eq!(over.results().len(), 6, "each call is answered");
}

/// It never learns how its calls are written.
fn incapable(dialect: Dialect) -> ScriptedEndpoint {
    let call = Item::Call { name: "read_file".into(), arguments: "{\"path\": ".into() };
    ScriptedEndpoint::start(dialect, Script::repeating([Answer::says([call])])).unwrap()
}

async fn calls_that_cannot_be_done_count_too(dialect: Dialect) {
    let endpoint = incapable(dialect);
    let limits = RunLimits { max_tool_calls: Some(3), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!((ended_by(&over), steps(&over)), (RunLimit::ToolCalls, 3));
    assert_eq!(over.setup.tools.begun().len(), 0);
}

async fn calls_that_can_never_be_done_have_an_end(dialect: Dialect) {
    let endpoint = incapable(dialect);
    let over = Setup::new(&endpoint).start().finish().await;
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result.outcome);
    assert_eq!((steps(&over), over.results().len()), (10, 10));
    endpoint.check().unwrap();
}

async fn calls_that_fail_again_and_again_have_an_end(dialect: Dialect) {
    for name in ["forbidden", "panic"] {
        let endpoint = ScriptedEndpoint::start(dialect, Script::repeating([calls(name)])).unwrap();
        // Without an end of its own it would go on for ever.
        let limits = RunLimits { max_turns: Some(30), ..RunLimits::default() };
        let over = Setup::new(&endpoint).limits(limits).start().finish().await;
        let outcome = &over.result.outcome;
        assert!(matches!(outcome, RunOutcome::Failed { .. }), "{name}: {outcome:?}");
        // The first of them is no repetition.
        assert_eq!((steps(&over), over.results().len()), (11, 11), "{name}");
        endpoint.check().unwrap();
    }
}

/// Each is another call than the one before.
fn in_turns(dialect: Dialect, names: &'static [&'static str], most: usize) -> ScriptedEndpoint {
    let script = Script::by(move |asked| match asked.number {
        number if number <= most => calls(names[number % names.len()]),
        _ => Answer::text("Done."),
    });
    ScriptedEndpoint::start(dialect, script).unwrap()
}

async fn calls_that_fail_in_a_round_have_an_end(dialect: Dialect) {
    let endpoint = in_turns(dialect, &["forbidden", "panic", "no_such_tool"], 40);
    let over = Setup::new(&endpoint).start().finish().await;
    let RunOutcome::Failed { last_lines, .. } = &over.result.outcome else {
        panic!("{:?}", over.result.outcome)
    };
    assert!(last_lines[0].contains("last 20 answers"), "{last_lines:?}");
    assert_eq!((steps(&over), over.results().len()), (20, 20));
    endpoint.check().unwrap();
}

async fn a_success_in_the_round_goes_on(dialect: Dialect) {
    let endpoint = in_turns(dialect, &["forbidden", "panic", "change"], 40);
    let over = Setup::new(&endpoint).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    endpoint.check().unwrap();
}

async fn calls_that_fail_in_new_ways_go_on(dialect: Dialect) {
    let script = Script::by(|asked| match asked.number {
        number if number <= 25 => Answer::call("forbidden", &json!({"path": number.to_string()})),
        number if number <= 50 => calls("change"),
        _ => Answer::text("Done."),
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    endpoint.check().unwrap();
}

async fn tokens(dialect: Dialect) {
    let endpoint = endless(dialect);
    let limits = RunLimits { max_tokens: Some(TOKENS * 5), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!((ended_by(&over), steps(&over)), (RunLimit::Tokens, 5));
    assert_eq!(told(&over), [4]);
    let used = over.result.token_usage;
    assert_eq!(used.input_tokens + used.cache_read_input_tokens + used.output_tokens, TOKENS * 5);
}

/// One that is no loopback address, so that it costs something.
fn elsewhere(endpoint: &ScriptedEndpoint) -> Setup {
    Setup::new(endpoint).with(|context| {
        let named = context.endpoint.base_url.take().unwrap();
        // Leads here too, and is not known to be this machine.
        context.endpoint.base_url = Some(named.replace("127.0.0.1", "0.0.0.0"));
    })
}

async fn money_that_is_known(dialect: Dialect) {
    let endpoint = endless(dialect);
    let limits = RunLimits { max_cost_microdollars: Some(TOKENS * 5), ..RunLimits::default() };
    let price = "as_of = \"2026-11-22\"\n[models.scripted-large]\n\
                 price = { input = 1_000_000, cached = 1_000_000, output = 1_000_000 }\n";
    let over = elsewhere(&endpoint).price(price).limits(limits).start().end().await;
    assert_eq!((ended_by(&over), steps(&over)), (RunLimit::Money, 5));
    assert_eq!(told(&over), [4]);
    assert_eq!(over.result.token_usage.cost_microdollars, TOKENS * 5);
    assert_eq!(over.result.token_usage.cost_source, CostSource::Estimated);
}

async fn money_that_is_not_known(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("change"), calls("change"), Answer::text("Done.")]);
    let limits = RunLimits { max_cost_microdollars: Some(1), ..RunLimits::default() };
    let over = elsewhere(&endpoint).limits(limits).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed, "what is not known is no limit");
    assert_eq!(over.result.token_usage.cost_source, CostSource::Unknown);
    assert_eq!(over.warned("cost_unknown"), 1, "and that is said, once");
}

async fn seconds(dialect: Dialect) {
    let endpoint = serves(dialect, [slow_words()]);
    let limits = RunLimits { max_seconds: Some(1), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!(ended_by(&over), RunLimit::Time);
}

async fn seconds_during_a_tool(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("hang")]);
    let limits = RunLimits { max_seconds: Some(1), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().end().await;
    assert_eq!(ended_by(&over), RunLimit::Time);
    assert_eq!(over.results()[0].text, "stopped");
}

const PRICE: &str = "as_of = \"2026-11-22\"\n[models.scripted-large]\n\
                     price = { input = 1_000_000, cached = 1_000_000, output = 1_000_000 }\n";

fn last_cost(events: &[AgentEvent]) -> (u64, CostSource) {
    let mut used = events.iter().rev().filter_map(|it| match it {
        AgentEvent::Usage { usage, .. } => Some((usage.cost_microdollars, usage.cost_source)),
        _ => None,
    });
    used.next().expect("what was used is told")
}

async fn what_a_stop_cuts_off_is_paid_for(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("change"), slow_words()]);
    let mut agent = elsewhere(&endpoint).price(PRICE).start();
    agent.until_delta().await;
    assert_eq!(last_cost(&agent.events), (TOKENS, CostSource::Estimated));
    let used = agent.stop().await.result.token_usage;
    let cost = TOKENS + said_early(dialect);
    assert_eq!((used.cost_microdollars, used.cost_source), (cost, CostSource::AtLeast));
}

/// What was said of an answer's tokens before its end: each event of Gemini's has a figure, in the place
/// of the one before.
fn said_early(dialect: Dialect) -> u64 {
    match dialect {
        Dialect::Gemini => TOKENS - TokenCount::USUAL.output / 2,
        _ => 0,
    }
}

async fn what_an_interrupt_cuts_off_is_paid_for(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("change"), slow_words(), Answer::text("Done.")]);
    let mut agent = elsewhere(&endpoint).price(PRICE).start();
    agent.until_delta().await;
    agent.steer(AgentInput::Interrupt).await;
    agent.until_turns_end(1).await;
    let cost = TOKENS + said_early(dialect);
    assert_eq!(last_cost(&agent.events), (cost, CostSource::AtLeast));
    agent.message("m2", "Go on.").await;
    agent.until_turns_end(2).await;
    assert_eq!(last_cost(&agent.events), (cost + TOKENS, CostSource::AtLeast), "it stays so");
    agent.finish().await;
}

async fn what_a_crash_cuts_off_is_paid_for(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("change"), slow_words()]);
    let mut agent = elsewhere(&endpoint).price(PRICE).start();
    agent.until_delta().await;
    let stored = agent.crash().await.log.stored.lock().unwrap().clone();
    let over = elsewhere(&endpoint).attached_to(stored).start().end().await;
    assert_eq!(last_cost(&over.events), (TOKENS, CostSource::AtLeast));
}

async fn what_breaks_off_is_paid_for(dialect: Dialect) {
    let words = Message::new([Item::text(&"Many words. ".repeat(40))]);
    let broken = Answer::Oddly(words, Oddity::ResetAfter(6));
    let refused = Answer::Problem(Problem::new(503, "overloaded", "Busy."));
    let early = said_early(dialect);
    for (trouble, cost, source) in
        [(broken, TOKENS + early, CostSource::AtLeast), (refused, TOKENS, CostSource::Estimated)]
    {
        let endpoint = serves(dialect, [trouble, Answer::text("Done.")]);
        let over = elsewhere(&endpoint).price(PRICE).start().finish().await;
        assert_eq!(over.result.outcome, RunOutcome::Completed);
        let used = over.result.token_usage;
        assert_eq!((used.cost_microdollars, used.cost_source), (cost, source));
    }
}

/// The provider broke its answer off, and said what it took.
fn failed_and_counted(dialect: Dialect) -> Answer {
    let words = Message::new([Item::text(&"Many words. ".repeat(40))]);
    match dialect {
        Dialect::Responses => Answer::Says(words.ending("failed:server_error")),
        Dialect::Chat => Answer::Says(words.ending("network_error")),
        Dialect::Gemini => Answer::Oddly(words, Oddity::EndAfter(6)),
    }
}

async fn what_failed_counts_for_the_limits(dialect: Dialect) {
    let endpoint = serves(dialect, [failed_and_counted(dialect), Answer::text("Done.")]);
    let said = if dialect == Dialect::Gemini { said_early(dialect) } else { TOKENS };
    let limits = RunLimits { max_tokens: Some(said + 1), ..RunLimits::default() };
    let over = elsewhere(&endpoint).price(PRICE).limits(limits).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed, "not all of it is used up yet");
    assert_eq!(last_cost(&over.events), (said + TOKENS, CostSource::AtLeast));

    let endpoint = serves(dialect, [failed_and_counted(dialect), Answer::text("Never asked.")]);
    let limits = RunLimits { max_tokens: Some(said), ..RunLimits::default() };
    let over = elsewhere(&endpoint).price(PRICE).limits(limits).start().end().await;
    assert_eq!((ended_by(&over), endpoint.turns().len()), (RunLimit::Tokens, 1));
    let used = &over.result.token_usage;
    assert_eq!(used.input_tokens + used.cache_read_input_tokens + used.output_tokens, said);
    assert_eq!(last_cost(&over.events), (said, CostSource::AtLeast));
}

async fn what_is_cut_off_at_home_costs_nothing(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("change"), slow_words()]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_delta().await;
    let used = agent.stop().await.result.token_usage;
    assert_eq!((used.cost_microdollars, used.cost_source), (0, CostSource::Estimated));
}

async fn what_does_not_stand_is_paid_for(dialect: Dialect) {
    let reason = if dialect == Dialect::Gemini { "OTHER" } else { "mood" };
    let words = Message::new([Item::text("Well.")]).ending(reason);
    let over = Setup::new(&serves(dialect, [Answer::Says(words)])).start().finish().await;
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
    assert_eq!(steps(&over), 0);
    let told = over.events.iter().rev().find_map(|it| match it {
        AgentEvent::Usage { usage, .. } => Some(usage.clone()),
        _ => None,
    });
    let used = told.expect("what was used is told");
    assert_eq!(used.input_tokens + used.cache_read_input_tokens + used.output_tokens, TOKENS);
}

async fn prices_that_cannot_be_read_do_not_stop_a_local_model(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Done.")]);
    let undated = "[models.\"mine\"]\nprice = { input = 1, cached = 1, output = 1 }\n";
    let over = Setup::new(&endpoint).price(undated).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
}
