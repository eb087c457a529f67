//! The keeper's one loop on Windows.

use std::{future::pending, time::Instant};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    super::{record::FAREWELL, state::Keeper},
    Connection,
};
use crate::{
    files::SOCKET,
    socket::{Accepted, Listener},
};

pub enum Event {
    Arrived(Accepted),
    Call { client: u64, line: Vec<u8> },
    Left { client: u64 },
}

impl Keeper {
    /// Returns when the end is recorded.
    pub async fn run(mut self, listener: Listener) {
        let (events, mut inbox) = mpsc::channel(64);
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, events.clone()));
        loop {
            let now = Instant::now();
            if self.advance(now) {
                self.say_farewell().await;
                let _ = std::fs::remove_file(self.dir.join(SOCKET));
                return;
            }
            self.serve_next(&events, &mut inbox, now).await;
            self.clients.forget_gone();
        }
    }

    async fn serve_next(
        &mut self,
        events: &mpsc::Sender<Event>,
        inbox: &mut mpsc::Receiver<Event>,
        now: Instant,
    ) {
        let ceiling = self.phase.ceiling();
        let (hear, hear_errors) =
            (self.stdout.wants(ceiling).is_some(), self.stderr.wants(ceiling).is_some());
        let due = self.due(now);
        tokio::select! {
            Some(event) = inbox.recv() => self.serve(event, events),
            () = self.host.wait() => {}
            answers = self.input.feed() => self.answer(answers),
            () = self.stdout.listen(), if hear => self.heard(Instant::now()),
            () = self.stderr.listen(), if hear_errors => self.heard(Instant::now()),
            () = until(due) => {}
        }
    }

    fn serve(&mut self, event: Event, events: &mpsc::Sender<Event>) {
        match event {
            Event::Arrived(stream) if !self.clients.is_full() => {
                let id = self.clients.next_id();
                self.clients.welcome(Connection::open(stream, id, events.clone()));
            }
            Event::Arrived(stream) => drop(stream),
            Event::Call { client, line } => self.obey(client, &line, Instant::now()),
            Event::Left { client } => self.clients.list.retain(|known| known.id != client),
        }
    }

    async fn say_farewell(&mut self) {
        let mut farewells = JoinSet::new();
        for client in self.clients.list.drain(..) {
            farewells.spawn(client.connection.finish());
        }
        let _ = timeout(FAREWELL, farewells.join_all()).await;
    }
}

/// Takes connections until the keeper ends.
async fn accept(listener: Listener, events: mpsc::Sender<Event>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                if events.send(Event::Arrived(stream)).await.is_err() {
                    return;
                }
            }
            // An engine that went away before it was taken; not to spin should it be something else.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}
