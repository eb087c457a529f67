//! Stop, exit, words and interrupts in any order: one end, and nothing left.

use std::time::Duration;

use musher_protocol::*;
use musher_runtime::{AgentInput, AgentRuntime};
use proptest::prelude::*;

use crate::harness::*;

/// What may happen to a run, in any order.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Stop,
    EndOfInput,
    Message,
    Interrupt,
    /// Time passes, in which the agent says more or exits.
    Ms(u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Stop),
        Just(Happening::EndOfInput),
        Just(Happening::Message),
        Just(Happening::Interrupt),
        (0u16..300).prop_map(Happening::Ms),
        (0u16..300).prop_map(Happening::Ms),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Any interleaving of stop, exit and output: `start` returns, once, and no process is left (both
    /// are asserted by `end`).
    #[test]
    fn every_interleaving_ends(
        happenings in prop::collection::vec(happening(), 0..6),
        script in prop::sample::select(vec!["hello", "slow", "crash_mid_turn", "follow_up", "exit_no_result"]),
        pty in any::<bool>(),
    ) {
        let transport = if pty { Transport::Pty } else { Transport::Pipe };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let agent = Setup::new(transport, script).start();
            let control = agent.runtime.clone();
            let acting = async {
                for happening in happenings {
                    match happening {
                        Happening::Stop => control.stop().await.unwrap(),
                        Happening::EndOfInput => drop(control.steer(AgentInput::EndOfInput).await),
                        Happening::Interrupt => drop(control.steer(AgentInput::Interrupt).await),
                        Happening::Message => {
                            let message = AgentInput::Message { id: "m".into(), text: "more".into() };
                            drop(control.steer(message).await);
                        }
                        Happening::Ms(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
                    }
                }
                // `stop` proves the end while `start` hands over what was said.
                control.stop().await.unwrap();
            };
            let (_, over) = tokio::join!(acting, agent.end());
            assert!(over.events.iter().all(|it| !matches!(it.event, AgentEvent::Done { .. })));
        });
    }
}
