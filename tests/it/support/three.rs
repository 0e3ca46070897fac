//! Server, client and Redis, and what may happen to them.

use std::time::Duration;

use evenkeel_actors::{
    ports::{
        lease::{LeaseEpoch, LeaseStore as _},
        state_store::LeasedStates as _,
    },
    stores::{
        outbox::OutboxReader,
        redis::{Keys, RedisReader, RedisStateStore},
    },
};
use evenkeel_core::{
    chance::Dice,
    journal::{Entry, EntryId, Stream},
    leveller::ClientState,
};
use serde_json::Value;

use super::{Running, fold, fold_of, pair::Pair, pause, wait_until};

/// Random numbers from a seed that is printed when the test fails.
pub fn dice(seed: u64) -> Dice {
    println!("dice {seed}");
    Dice::new(seed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Kill,
    Terminate,
    Stop,
}

/// Server, client and Redis, running between faults.
pub struct Three {
    pub pair: Pair,
    pub server: Option<Running>,
    pub client: Option<Running>,
}

impl Three {
    pub fn start(pair: Pair) -> Self {
        let server = Some(pair.start_server());
        let client = Some(pair.start_client());
        Self { pair, server, client }
    }

    /// Does `fault` to those that are named, and starts again what it ended, after `away`.
    pub fn suffer(&mut self, fault: Fault, [server, client, redis]: [bool; 3], away: Duration) {
        let victims = [self.server.as_ref().filter(|_| server), self.client.as_ref().filter(|_| client)];
        let name = match fault {
            Fault::Kill => "KILL",
            Fault::Terminate => "TERM",
            Fault::Stop => "STOP",
        };
        for victim in victims.into_iter().flatten() {
            victim.signal(name);
        }
        if fault == Fault::Stop {
            if redis {
                self.pair.redis.signal("STOP");
            }
            pause(away);
            for victim in victims.into_iter().flatten() {
                victim.signal("CONT");
            }
            if redis {
                self.pair.redis.signal("CONT");
            }
            return;
        }
        if redis {
            match fault {
                Fault::Kill => self.pair.redis.kill(),
                _ => self.pair.redis.terminate(),
            }
        }
        for ended in [self.server.take_if(|_| server), self.client.take_if(|_| client)].into_iter().flatten()
        {
            let (status, _) = ended.wait();
            // A client that loses its Redis while it ends may not have saved: it says so and ends in order.
            assert!(fault == Fault::Kill || status.success(), "{status}\n{}", self.pair.said());
        }
        pause(away);
        if redis {
            self.pair.redis.restart();
        }
        if server {
            self.server = Some(self.pair.start_server());
        }
        if client {
            self.client = Some(self.pair.start_client());
        }
    }

    pub fn server(&self) -> &Running {
        self.server.as_ref().unwrap()
    }

    pub fn client(&self) -> &Running {
        self.client.as_ref().unwrap()
    }

    /// Waits until everybody does their work and Redis is not behind.
    pub fn settle(&self) {
        wait_until("the server is ready", || self.server().get("/readyz").status == 200);
        wait_until("the client levels", || {
            let ready = self.client().get("/readyz");
            ready.status == 200 && ready.json()["role"] == "levelling"
        });
        let mut last = String::new();
        wait_until("nothing is degraded", || {
            let ready = self.server().get("/readyz");
            if ready.body != last {
                println!("{}", ready.body);
            }
            last.clone_from(&ready.body);
            // That a clock was moved is told for an hour, whatever becomes of it.
            let passes = |cause: &Value| !cause.as_str().unwrap().starts_with("the clock was moved");
            let degraded = ready.json()["degraded"].as_array().cloned();
            ready.status == 200 && degraded.is_some_and(|causes| !causes.iter().any(passes))
        });
    }

    /// Ends both in order, the client first; everything is shipped and saved then.
    pub fn end(mut self) -> Pair {
        self.settle();
        let (status, _) = self.client.take().map(terminated).unwrap();
        assert!(status.success(), "{}", self.pair.said());
        let (status, _) = self.server.take().map(terminated).unwrap();
        assert!(status.success(), "{}", self.pair.said());
        self.pair
    }
}

pub fn terminated(running: Running) -> (std::process::ExitStatus, Vec<String>) {
    running.signal("TERM");
    running.wait()
}

/// The client's state as it stands in Redis, read as the next client would.
pub fn state_in_redis(pair: &Pair) -> ClientState {
    let keys = Keys::new("evenkeel", "main").unwrap();
    let target = pair.redis.url("client").parse().unwrap();
    let mut store = RedisStateStore::new(target, keys, "the test".to_owned(), LeaseEpoch::default());
    let mut loaded = None;
    wait_until("the lease is free", || {
        loaded = store.take_over().ok();
        loaded.is_some()
    });
    store.release();
    loaded.unwrap()
}

fn all_of(redis: &mut RedisReader, stream: Stream) -> Vec<Entry> {
    let (mut all, mut last) = (Vec::new(), EntryId::default());
    loop {
        let some = redis.after(stream, last, 10_000).unwrap();
        let before = all.len();
        all.extend(some.into_iter().map(Result::unwrap));
        let Some(end) = all[before..].last() else { return all };
        last = end.id;
    }
}

/// The state is what its entries say, all of them; which it is.
pub fn assert_state_is_the_fold(pair: &Pair) -> ClientState {
    let state = state_in_redis(pair);
    let outbox = OutboxReader::open(&pair.world.data_dir()).unwrap();
    let folded = if Stream::ALL.iter().all(|&stream| outbox.end(stream).unwrap().2 == 1) {
        fold(&pair.world, state.positions)
    } else {
        // What has been shipped leaves the outbox after ten minutes; Redis keeps it for longer.
        let target = pair.redis.url("inspection").parse().unwrap();
        let mut redis = RedisReader::open(&target, Keys::new("evenkeel", "main").unwrap()).unwrap();
        fold_of(|stream| all_of(&mut redis, stream), state.positions)
    };
    let bytes = |state: &ClientState| postcard::to_stdvec(state).unwrap();
    if bytes(&state) != bytes(&folded) {
        let differs = ClientState { scheduler: folded.scheduler.clone(), ..state.clone() };
        let part = if bytes(&differs) == bytes(&folded) { "scheduler's" } else { "estimator's" };
        // Both can be compared line by line.
        std::fs::write(pair.world.path("state.txt"), format!("{state:#?}")).unwrap();
        std::fs::write(pair.world.path("fold.txt"), format!("{folded:#?}")).unwrap();
        panic!("the {part} state differs from the fold over the journal\n{}", pair.said());
    }
    state
}
