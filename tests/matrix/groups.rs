//! The matrices: every point × how it stops there, every mutating call × every fault.

use std::time::Duration;

use tokenform::sandbox::faults::{Action, Canned, Fault, Throttle, When};

use crate::case::{Case, Faulty, GoesOn, How, Undisturbed};
use crate::child::Stop;
use crate::estate::{Call, Estate};

/// A matrix.
pub struct Group {
    pub name: &'static str,
    pub about: &'static str,
    pub cases: Vec<Case>,
}

impl Group {
    /// Its cases are brought to their end by applies alone.
    fn by_apply(mut self) -> Self {
        self.cases.iter_mut().for_each(|case| case.goes_on = GoesOn::ByApply);
        self
    }
}

pub fn all(undisturbed: &Undisturbed) -> Vec<Group> {
    let points = undisturbed.points.len();
    let estate = undisturbed.estate;
    let at_change = |last| at_change(estate, last);
    vec![
        Group {
            name: "kill",
            about: "SIGKILL at every point",
            cases: stops(undisturbed, "kill", |at| vec![Stop::Kill { at }]),
        },
        Group {
            name: "commit",
            about: "SIGKILL when the vendor has changed and not answered",
            cases: (1..=undisturbed.changes).map(at_change).collect(),
        },
        Group {
            name: "twice",
            about: "SIGKILL at every point, and of the next run at another one",
            cases: stops(undisturbed, "twice", |at| {
                vec![Stop::Kill { at }, Stop::Kill { at: elsewhere(at, points) }]
            }),
        }
        .by_apply(),
        Group {
            name: "lanes",
            about: "SIGKILL at every point, with steps of several owners under way",
            cases: stops(undisturbed, "lanes", |at| vec![Stop::Kill { at }])
                .into_iter()
                .map(in_lanes)
                .collect(),
        },
        Group {
            name: "fail",
            about: "every point's call fails once",
            cases: stops(undisturbed, "fail", |at| vec![Stop::Fail { at, times: 1 }]),
        },
        Group {
            name: "outage",
            about: "from every point on everything fails",
            cases: stops(undisturbed, "outage", |at| vec![Stop::Fail { at, times: usize::MAX }]),
        }
        .by_apply(),
        Group {
            name: "unwind",
            about: "everything is dropped at every point",
            cases: stops(undisturbed, "unwind", |at| vec![Stop::Unwind { at }]),
        },
        Group {
            name: "fault",
            about: "every mutating call × every fault × once, for ever",
            cases: faults(estate),
        },
    ]
}

fn stops(undisturbed: &Undisturbed, group: &str, stop: impl Fn(usize) -> Vec<Stop>) -> Vec<Case> {
    let estate = undisturbed.estate;
    let case = |(at, point): (usize, &String)| Case {
        name: format!("{} {group} {at}: {point}", estate.name),
        estate,
        how: How::Stops(stop(at)),
        goes_on: GoesOn::ByResume,
    };
    (1..).zip(&undisturbed.points).map(case).collect()
}

fn in_lanes(case: Case) -> Case {
    match case.how {
        How::Stops(stops) => Case { how: How::InLanes(stops), ..case },
        how => Case { how, ..case },
    }
}

fn at_change(estate: &'static Estate, last: usize) -> Case {
    let name = format!("{} commit {last}", estate.name);
    Case { name, estate, how: How::Vendors { last }, goes_on: GoesOn::ByResume }
}

/// A point of the second run, which has fewer the further the first one came. Spread over all of it:
/// 17 has no divisor in common with the counts that come up.
fn elsewhere(at: usize, points: usize) -> usize {
    1 + (at * 17) % (points / 3).max(1)
}

/// What goes wrong with a call.
enum Wrong {
    Server(Action),
    /// Nothing comes, so that the deadline passes.
    Silence(Action),
    Client {
        refused: bool,
    },
}

fn wrongs(call: &Call) -> Vec<(&'static str, Wrong)> {
    use Wrong::{Client, Server, Silence};
    let canned = |status, body: &str, headers: &[(&str, &str)]| Canned {
        status,
        headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        body: body.to_owned(),
    };
    let throttled = match call.path.starts_with("/santaba") {
        true => Action::Throttle(Throttle::default()),
        false => Action::Reply(canned(429, "{}", &[("Retry-After", "3")])),
    };
    let hour = "1h".parse().expect("a period");
    vec![
        ("timeout", Silence(Action::Hang)),
        ("timeout after the commit", Silence(Action::Delay(hour))),
        ("connection refused", Client { refused: true }),
        ("reset before it is sent", Client { refused: false }),
        ("reset after it is sent", Server(Action::ResetBefore)),
        ("closed after it is sent", Server(Action::DropBefore)),
        ("lost reply after the commit", Server(Action::DropAfter)),
        ("reset after the commit", Server(Action::ResetAfter)),
        ("429", Server(throttled)),
        ("500", Server(Action::Reply(canned(500, "oops", &[])))),
        ("500 after the commit", Server(Action::ReplyAfter(canned(500, "oops", &[])))),
        ("503 HTML", Server(Action::Html503)),
        ("truncated JSON", Server(Action::Truncate)),
        ("broken body", Server(Action::Cut)),
        ("slow body", Silence(Action::Stall)),
    ]
}

fn faults(estate: &'static Estate) -> Vec<Case> {
    let mut cases = Vec::new();
    for call in estate.calls {
        for (name, wrong) in wrongs(call) {
            for lasts in [false, true] {
                let often = if lasts { "for ever" } else { "once" };
                let how = How::Faulty(faulty(call, &wrong, lasts));
                let name = format!("{} fault {}: {name}, {often}", estate.name, call.name);
                cases.push(Case { name, estate, how, goes_on: GoesOn::ByResume });
            }
        }
    }
    cases
}

fn faulty(call: &Call, wrong: &Wrong, lasts: bool) -> Faulty {
    let (mut on_server, mut in_client, mut deadline) = (Vec::new(), Stop::Nowhere, None);
    let rule = |action: &Action| Fault {
        on: When {
            method: Some(call.method.to_owned()),
            path: call.path.to_owned(),
            nth: call.nth,
            times: if lasts { 0 } else { 1 },
            ..When::default()
        },
        r#do: action.clone(),
    };
    match wrong {
        Wrong::Server(action) => on_server.push(rule(action)),
        Wrong::Silence(action) => {
            on_server.push(rule(action));
            deadline = Some(Duration::from_millis(700));
        }
        Wrong::Client { refused } => {
            in_client = Stop::Broken {
                method: call.method.to_owned(),
                path: call.path.to_owned(),
                nth: usize::try_from(call.nth).unwrap_or(1),
                times: if lasts { usize::MAX } else { 1 },
                refused: *refused,
            };
        }
    }
    Faulty { on_server, in_client, lasts, deadline, names: call.names }
}
