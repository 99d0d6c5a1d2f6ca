//! One case: a disturbed run, then runs until it is done, then a look at everything.

use std::path::PathBuf;
use std::time::Duration;

use tokenform::sandbox::faults::Fault;

use crate::checks::{Ill, Ills};
use crate::child::Stop;
use crate::end::End;
use crate::estate::Estate;
use crate::place::{Place, Ran};

/// What begins the job, and what goes on with it: one step after the other, so that points are the
/// same in every run.
const APPLY: [&str; 6] = ["apply", "spec", "--auto-approve", "--new-state", "--parallelism", "1"];

/// The same with lanes beside each other, as it is by default.
const IN_LANES: [&str; 4] = ["apply", "spec", "--auto-approve", "--new-state"];

/// What goes on with an apply that did not come to its end, on the word that was given for it.
const RESUME: [&str; 5] = ["resume", "spec", "--auto-approve", "--parallelism", "1"];

/// Runs after the disturbed ones until it must be done.
const MOST_RUNS: usize = 4;

/// The deadline of a request where no fault is about time.
const PATIENT: Duration = Duration::from_secs(30);

/// A case of a matrix.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub estate: &'static Estate,
    pub how: How,
    pub goes_on: GoesOn,
}

/// How a case is brought to its end. The last run is an apply in both, which finds the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    ByResume,
    ByApply,
}

/// How a case is disturbed.
#[derive(Clone)]
pub enum How {
    /// The runs stop one after the other, each where it is told to; the last one goes undisturbed.
    Stops(Vec<Stop>),
    /// The same with steps of several owners under way at once. Points come in another order each time.
    InLanes(Vec<Stop>),
    /// The vendors kill the first run when they have made their change of this number.
    Vendors { last: usize },
    /// The vendors' side of a call fails, or its connection does.
    Faulty(Faulty),
}

/// A call that goes wrong.
#[derive(Clone)]
pub struct Faulty {
    pub on_server: Vec<Fault>,
    pub in_client: Stop,
    /// It lasts until somebody ends it: two runs have to bear it.
    pub lasts: bool,
    /// Short where the fault is that nothing comes.
    pub deadline: Option<Duration>,
    /// What a run that gives up must name.
    pub names: &'static str,
}

/// How a case went.
pub struct Result {
    pub ills: Ills,
    /// How many runs came after the disturbed ones.
    pub runs: usize,
    /// Where its folder was kept, if it went wrong.
    pub kept: Option<PathBuf>,
}

/// A run that nobody disturbs: its end, its points and how often it changed the vendors.
pub struct Undisturbed {
    pub estate: &'static Estate,
    pub end: End,
    pub points: Vec<String>,
    pub changes: usize,
}

impl Undisturbed {
    /// Fails if it does not do the whole job.
    pub fn run(estate: &'static Estate) -> std::result::Result<Self, String> {
        let mut place = Place::new(estate, Vec::new(), None);
        let list = place.path("runs/points");
        let ran = place.run(&APPLY, Stop::Nowhere, PATIENT, Some(list.clone()));
        let mut ills = Ills::default();
        ills.look(&place, &ran);
        ills.look_at_the_end(&place);
        let (changes, effects) = (place.changes(), place.effects());
        let again = place.run(&APPLY, Stop::Nowhere, PATIENT, None);
        if ran.code() != Some(0) || again.code() != Some(0) || !ills.none() || effects != place.effects() {
            return Err(format!("{ills:?}\n{}\n{}", ran.all(), again.all()));
        }
        let text = std::fs::read_to_string(list).map_err(|error| error.to_string())?;
        let points = text.lines().map(str::to_owned).collect();
        Ok(Self { estate, end: End::of(&place), points, changes })
    }
}

impl Case {
    pub fn run(&self, wanted: &Undisturbed, keep: bool) -> Result {
        let mut ills = Ills::default();
        let (mut place, strict) = match &self.how {
            How::Stops(stops) => (self.stopped(&APPLY, stops, &mut ills), is_crash(stops)),
            How::InLanes(stops) => (self.stopped(&IN_LANES, stops, &mut ills), is_crash(stops)),
            How::Vendors { last } => {
                let mut place = Place::new(self.estate, Vec::new(), Some(*last));
                let ran = place.run(&APPLY, Stop::Nowhere, PATIENT, None);
                ills.look(&place, &ran);
                if !ran.was_killed() {
                    ills.push(Ill::Other, format!("the run was not killed: {:?}", ran.code()));
                }
                (place, true)
            }
            How::Faulty(faulty) => (faulty.run(self.estate, &mut ills), false),
        };
        let runs = self.goes_on.converge(&mut place, &mut ills);
        ills.look_at_the_end(&place);
        for difference in End::of(&place).differs(&wanted.end, strict) {
            ills.push(Ill::Other, difference);
        }
        let kept = (keep && !ills.none()).then(|| place.keep());
        Result { ills, runs, kept }
    }

    /// Runs it, and stops each run where it is to be stopped.
    fn stopped(&self, args: &[&str], stops: &[Stop], ills: &mut Ills) -> Place {
        let mut place = Place::new(self.estate, Vec::new(), None);
        for (number, stop) in (1..).zip(stops) {
            let ran = place.run(args, stop.clone(), PATIENT, None);
            ills.look(&place, &ran);
            // a later run has fewer points, and may end before it comes to its last
            if number == 1 || ran.code() != Some(0) {
                ended_as_told(ills, stop, &ran);
            }
        }
        place
    }
}

fn is_crash(stops: &[Stop]) -> bool {
    stops.iter().all(|stop| matches!(stop, Stop::Kill { .. } | Stop::Unwind { .. }))
}

impl Faulty {
    fn run(&self, estate: &'static Estate, ills: &mut Ills) -> Place {
        let mut place = Place::new(estate, self.on_server.clone(), None);
        let deadline = self.deadline.unwrap_or(PATIENT);
        for _ in 0..if self.lasts { 2 } else { 1 } {
            let ran = place.run(&APPLY, self.in_client.clone(), deadline, None);
            ills.look(&place, &ran);
            self.names_it(ills, &ran);
        }
        place.lift_faults();
        place
    }

    /// It is done in spite of the fault, or it says at which step it was not.
    fn names_it(&self, ills: &mut Ills, ran: &Ran) {
        match ran.code() {
            Some(0) => {}
            Some(6) if ran.all().contains(self.names) => {}
            code => ills
                .push(Ill::Other, format!("exit {code:?}, and {} is not named:\n{}", self.names, ran.all())),
        }
    }
}

impl GoesOn {
    /// Runs it again until it is done. Gives how many runs it took.
    fn converge(self, place: &mut Place, ills: &mut Ills) -> usize {
        for run in 1..=MOST_RUNS {
            let resumes = self == Self::ByResume && place.is_unfinished();
            let ran = place.run(if resumes { &RESUME } else { &APPLY }, Stop::Nowhere, PATIENT, None);
            ills.look(place, &ran);
            match ran.code() {
                Some(0) if resumes => {}
                Some(0) => return run,
                Some(6) => {}
                code => ills.push(Ill::Other, format!("exit {code:?}:\n{}", ran.all())),
            }
        }
        ills.push(Ill::Other, format!("not done after {MOST_RUNS} runs"));
        MOST_RUNS
    }
}

/// Whether a stop has stopped the run as it should.
fn ended_as_told(ills: &mut Ills, stop: &Stop, ran: &Ran) {
    let good = match stop {
        Stop::Nowhere => ran.code() == Some(0),
        Stop::Kill { .. } => ran.was_killed(),
        Stop::Unwind { .. } => ran.code() == Some(101),
        Stop::Fail { .. } | Stop::Broken { .. } => matches!(ran.code(), Some(0 | 1 | 4 | 6)),
    };
    if !good {
        ills.push(Ill::Other, format!("{stop:?} ended with {:?}:\n{}", ran.code(), ran.all()));
    }
}
