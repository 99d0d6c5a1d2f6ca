//! `/__sandbox/…`: the tape, the world, the clock, faults, and other people's doings.
//!
//! | call | does |
//! | --- | --- |
//! | `GET /__sandbox/tape` | every request so far |
//! | `GET /__sandbox/world` | the world without secrets |
//! | `GET /__sandbox/clock`, `POST {"advance":"24h"}` | what time it is; moves it ahead |
//! | `POST /__sandbox/faults`, `DELETE` | adds one rule or a list of rules; lifts all |
//! | `POST /__sandbox/operator/watch` `{"instance":GUID,"team":ID}` | asks the operator for a reset |
//! | `POST /__sandbox/meddle` | an outside change, as in a `meddle` fault |

use serde::Deserialize;
use serde_json::json;

use super::faults::Fault;
use super::meddle::{Meddling, meddle};
use super::state::State;
use super::wire::{Call, Reply};
use crate::model::vocabulary::Period;

pub const ROOT: &str = "/__sandbox";
pub const CLOCK: &str = "/__sandbox/clock";

/// Answers a request to the sandbox itself. These are not on the tape.
pub fn answer(state: &mut State, call: &Call) -> Reply {
    // A web page may not steer the sandbox.
    if call.header("origin").is_some() {
        return refusal(403, "requests of web pages are refused");
    }
    match (call.method.as_str(), &call.path[ROOT.len()..]) {
        ("GET", "/tape") => Reply::json(200, &state.tape.entries()),
        ("GET", "/world") => Reply::json(200, &state.world.without_secrets()),
        ("GET", "/clock") => clock(state),
        ("POST", "/clock") => advance(state, call),
        ("POST", "/faults") => faults(state, call),
        ("DELETE", "/faults") => lifted(state),
        ("POST", "/operator/watch") => watch(state, call),
        ("POST", "/meddle") => meddled(state, call),
        _ => refusal(404, "the sandbox has tape, world, clock, faults, operator/watch and meddle"),
    }
}

fn clock(state: &State) -> Reply {
    Reply::json(200, &json!({ "now": state.clock.now() }))
}

fn advance(state: &State, call: &Call) -> Reply {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Advance {
        advance: Period,
    }
    match serde_json::from_slice::<Advance>(&call.body) {
        Ok(Advance { advance }) => {
            state.clock.advance(advance.as_duration());
            clock(state)
        }
        Err(error) => refusal(400, &error.to_string()),
    }
}

fn faults(state: &mut State, call: &Call) -> Reply {
    let many = serde_json::from_slice::<Vec<Fault>>(&call.body);
    let faults = many.or_else(|_| serde_json::from_slice::<Fault>(&call.body).map(|one| vec![one]));
    match faults {
        Ok(faults) => {
            let added = faults.len();
            state.add_faults(faults);
            Reply::json(200, &json!({ "added": added }))
        }
        Err(error) => refusal(400, &error.to_string()),
    }
}

fn lifted(state: &mut State) -> Reply {
    state.lift_faults();
    Reply::json(200, &json!({}))
}

fn watch(state: &mut State, call: &Call) -> Reply {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        instance: String,
        team: u64,
    }
    let Asked { instance, team } = match serde_json::from_slice(&call.body) {
        Ok(asked) => asked,
        Err(error) => return refusal(400, &error.to_string()),
    };
    let now = state.now();
    match state.desk.watch(&state.world, &instance, team, now) {
        Ok(()) => Reply::json(200, &json!({ "watching": true })),
        Err(why) => refusal(404, &format!("nobody can be asked: {why:?}")),
    }
}

fn meddled(state: &mut State, call: &Call) -> Reply {
    let now = state.now();
    let done = serde_json::from_slice::<Meddling>(&call.body).map_err(|error| error.to_string());
    match done.and_then(|what| meddle(&mut state.world, &what, now).map_err(|error| error.to_string())) {
        Ok(()) => Reply::json(200, &json!({})),
        Err(why) => refusal(400, &why),
    }
}

fn refusal(status: u16, why: &str) -> Reply {
    Reply::json(status, &json!({ "error": why }))
}
