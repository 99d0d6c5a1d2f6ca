//! Checks of IBM connections, instances and teams.

use std::collections::BTreeMap;

use super::rotation::{Replaced, protected, protection, rotate};
use super::{Checker, delivery, pairs, words};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::{Given, Items};
use crate::model::source::Span;
use crate::model::vocabulary::Period;
use crate::provider::ibm::spec::{self, TokenReset as ResetSpec, TokenResetMap};
use crate::provider::ibm::state::{
    AuthMode, Connection, Credential, Endpoints, Instance, Team, TokenReset, TrustedProfile,
};
use crate::provider::ibm::{TEAM, VENDOR};
use crate::spec::node::Entry;

/// How long a guided reset waits for the person.
const GUIDED_TIMEOUT: Period = Period::seconds(30 * 60);

/// Some looks at the token must fit in.
const SHORTEST_TIMEOUT: Period = Period::seconds(10);

/// Statuses that mean a reset call was taken.
const EXPECT: [u16; 3] = [200, 201, 204];

const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// One connection with all its instances.
pub fn connection(
    checker: &mut Checker<'_>,
    entry: &Entry,
    spec: &spec::Connection,
) -> Option<(Address, Connection)> {
    let at = Address::connection(VENDOR, &entry.key);
    checker.name(&at, entry, words::not_empty);
    let credential = credential(checker, &at, entry, &spec.credential);
    let account = checker.word(&at, entry, "account", &spec.account, words::not_empty);
    let resource_group = checker.word(&at, entry, "resource_group", &spec.resource_group, words::not_empty);
    let endpoints = endpoints(checker, &at, entry, spec.endpoints.get());
    let token_reset = token_reset(checker, &at, entry, &spec.token_reset);
    let mut instances = BTreeMap::new();
    let mut pins = BTreeMap::new();
    for (place, instance_spec) in pairs(entry.get("instances"), &spec.instances) {
        let address = at.owner(&place.key);
        checker.name(&address, place, words::not_empty);
        let guid = instance_spec.guid.get().map(|guid| guid.to_ascii_lowercase());
        checker.pin(&address, place, "guid", &mut pins, guid);
        if let Some(instance) = instance(checker, &address, place, instance_spec) {
            instances.insert(address, instance);
        }
    }
    let connection =
        Connection { credential: credential?, account, endpoints, resource_group, token_reset, instances };
    Some((at, connection))
}

fn credential(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    given: &Given<spec::Credential>,
) -> Option<Credential> {
    checker.need(at, entry, "credential", given);
    let place = entry.get("credential");
    match given.get()? {
        spec::Credential::ApiKey(key) => checker.secret(at, place, "api_key", key).map(Credential::ApiKey),
        spec::Credential::IamToken(token) => {
            checker.secret(at, place, "iam_token", token).map(Credential::IamToken)
        }
        spec::Credential::TrustedProfile(profile) => {
            let profile = profile.get()?;
            let place = place.and_then(|place| place.get("trusted_profile"));
            named(checker, at, place, profile);
            let cr_token = checker.secret(at, place, "cr_token", &profile.cr_token)?;
            let (id, name) = (profile.id.cloned(), profile.name.cloned());
            Some(Credential::TrustedProfile(TrustedProfile { cr_token, id, name }))
        }
    }
}

/// IAM takes an id, a name, or both (contract ibm 1.3).
fn named(checker: &mut Checker<'_>, at: &Address, place: Option<&Entry>, profile: &spec::TrustedProfile) {
    if profile.id.get().is_none()
        && profile.name.get().is_none()
        && let Some(place) = place
    {
        let finding = Finding::new(code::SPEC_MISSING_KEY, "a trusted profile needs `id` or `name`").at(at);
        checker.tell(finding.label(place.key_at, "which profile?"));
    }
}

fn endpoints(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    spec: Option<&spec::Endpoints>,
) -> Endpoints {
    let Some(spec) = spec else { return Endpoints::default() };
    let place = entry.get("endpoints");
    let mut origin = |key, given| checker.origin(at, place, key, given);
    Endpoints {
        iam: origin("iam", &spec.iam),
        resource_controller: origin("resource_controller", &spec.resource_controller),
        monitoring: origin("monitoring", &spec.monitoring),
        workload_protection: origin("workload_protection", &spec.workload_protection),
    }
}

/// The reset strategy; after an error any one, since nothing runs then.
fn token_reset(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    given: &Given<ResetSpec>,
) -> TokenReset {
    let guided = TokenReset::Guided { timeout: GUIDED_TIMEOUT };
    let (Some(ResetSpec::Written(spec)), Some(place)) = (given.get(), entry.get("token_reset")) else {
        return guided;
    };
    match (place.get("guided"), place.get("method").or(place.get("path")).or(place.get("expect"))) {
        (Some(first), Some(second)) => {
            let finding = Finding::new(code::SPEC_CHOOSE_ONE, "a reset is either guided or a call").at(at);
            checker.tell(finding.label(second.key_at, "a call").label(first.key_at, "guided"));
            guided
        }
        (Some(form), None) => guided_reset(checker, at, form, spec).unwrap_or(guided),
        (None, _) => reset_call(checker, at, place, spec).unwrap_or(guided),
    }
}

fn guided_reset(
    checker: &mut Checker<'_>,
    at: &Address,
    form: &Entry,
    spec: &TokenResetMap,
) -> Option<TokenReset> {
    let timeout = spec.guided.get()?.timeout.get().map_or(GUIDED_TIMEOUT, |timeout| timeout.0);
    if timeout < SHORTEST_TIMEOUT {
        let message = "`timeout` must be at least 10s: the token is looked at every few seconds";
        checker.error(code::SPEC_BAD_VALUE, at, message, form.place(&["timeout"]), "too short");
    }
    Some(TokenReset::Guided { timeout })
}

fn reset_call(
    checker: &mut Checker<'_>,
    at: &Address,
    place: &Entry,
    spec: &TokenResetMap,
) -> Option<TokenReset> {
    checker.need(at, place, "method", &spec.method);
    checker.need(at, place, "path", &spec.path);
    let method = checker.word(at, place, "method", &spec.method, method);
    let path = checker.word(at, place, "path", &spec.path, words::reset_path);
    let expect = expect(checker, at, place, &spec.expect);
    Some(TokenReset::Call { method: method?, path: path?, expect })
}

fn method(text: &str) -> Option<&'static str> {
    (!METHODS.contains(&text)).then_some("a method is one of POST, PUT, PATCH, DELETE")
}

fn expect(checker: &mut Checker<'_>, at: &Address, place: &Entry, given: &Items<u16>) -> Vec<u16> {
    if given.is_missing() {
        return EXPECT.to_vec();
    }
    let statuses: Vec<_> = given.items().map(|(_, status)| *status).collect();
    let bad = statuses.iter().any(|status| !(200..400).contains(status));
    if bad || given.get().is_some_and(Vec::is_empty) {
        let message = "`expect` lists statuses from 200 to 399";
        checker.error(code::SPEC_BAD_VALUE, at, message, place.place(&["expect"]), "can't be used");
    }
    statuses
}

fn instance(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    spec: &spec::Instance,
) -> Option<Instance> {
    checker.need(at, entry, "service", &spec.service);
    let region = checker.word(at, entry, "region", &spec.region, words::region);
    let guid = checker.word(at, entry, "guid", &spec.guid, words::guid);
    let mode = spec.external_api_auth.cloned();
    checker.unprotect(at, entry, &spec.protect, None);
    let above = Above { protected: protection(entry, &spec.protect), locked: locked(entry, mode) };
    let mut teams = BTreeMap::new();
    let mut pins = BTreeMap::new();
    for (place, team_spec) in pairs(entry.get("teams"), &spec.teams) {
        let address = at.item(TEAM, &place.key);
        checker.name(&address, place, words::not_empty);
        checker.pin(&address, place, "id", &mut pins, team_spec.id.cloned());
        let team = team(checker, &address, place, team_spec, above);
        teams.insert(address, team);
    }
    Some(Instance {
        service: spec.service.cloned()?,
        region,
        guid,
        external_api_auth: mode,
        accept_unverified: spec.accept_unverified.cloned().unwrap_or_default(),
        other_teams: spec.other_teams.cloned().unwrap_or_default(),
        protect: above.protected.is_some(),
        teams,
    })
}

/// What an instance says about all its teams, and where.
#[derive(Clone, Copy)]
struct Above {
    protected: Option<Span>,
    locked: Option<Span>,
}

fn locked(entry: &Entry, mode: Option<AuthMode>) -> Option<Span> {
    (mode == Some(AuthMode::IamOnly)).then(|| entry.place(&["external_api_auth"]))
}

fn team(checker: &mut Checker<'_>, at: &Address, entry: &Entry, spec: &spec::Team, above: Above) -> Team {
    let own = protection(entry, &spec.protect);
    checker.unprotect(at, entry, &spec.protect, above.protected);
    let mut team =
        Team { id: spec.id.cloned(), owner: None, rotate: None, deliver: Vec::new(), protect: own.is_some() };
    let (Some(token), Some(place)) = (spec.token.get(), entry.get("token")) else {
        return team;
    };
    let of_token = protection(place, &token.protect);
    checker.unprotect(at, place, &token.protect, own.or(above.protected));
    team.protect |= of_token.is_some();
    if team.protect {
        // one of the two says so
        checker.unprotect.remove(at);
    }
    team.owner = checker.word(at, place, "owner", &token.owner, words::not_empty);
    team.rotate = rotate(checker, at, place, &token.rotate, Replaced::InPlace);
    team.deliver = delivery::deliveries(checker, at, place, &token.deliver, false);
    protected(checker, at, place, of_token.or(own).or(above.protected));
    for key in ["rotate", "deliver"] {
        if let (Some(entry), Some(lock)) = (place.get(key), above.locked) {
            let message = format!("`{key}` can't be wished of a token that its instance is to refuse");
            let finding = Finding::new(code::SPEC_LOCKED_TOKEN, message).at(at);
            checker.tell(finding.label(entry.key_at, "needs ANY").label(lock, "tokens are refused"));
        }
    }
    team
}
