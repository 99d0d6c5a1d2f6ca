//! One table of every finding code: severity, cause and cure. The docs and a test read it.

use super::finding::Severity;
use Severity::{Error, Info, Warning};

/// A finding's code, for example `tokenform::spec::unknown_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(&'static Row);

/// A row of the table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub id: &'static str,
    pub severity: Severity,
    pub cause: &'static str,
    pub cure: &'static str,
}

impl Code {
    pub fn id(self) -> &'static str {
        self.0.id
    }

    pub fn severity(self) -> Severity {
        self.0.severity
    }

    /// What to do about it where the finding itself says nothing more exact.
    pub fn cure(self) -> &'static str {
        self.0.cure
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal, $severity:ident, $cause:literal, $cure:literal;)*) => {
        $(#[doc = $cause] pub const $name: Code = Code(&Row {
            id: $id, severity: $severity, cause: $cause, cure: $cure,
        });)*
        /// Every code, in the table's order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    SPEC_NOT_FOUND = "tokenform::spec::not_found", Error,
        "The path that should hold the spec does not exist, or the folder has no spec files.",
        "Give the path of a spec file, or of a folder with `*.yaml` files.";
    SPEC_UNREADABLE = "tokenform::spec::unreadable", Error,
        "A file of the spec can't be read.",
        "Check that it is a file, its permissions and its size.";
    SPEC_NOT_UTF8 = "tokenform::spec::not_utf8", Error,
        "A file of the spec, or its path, is not UTF-8 text.",
        "Save the file as UTF-8, under a name that is UTF-8 too.";
    SPEC_EMPTY = "tokenform::spec::empty", Error,
        "A file of the spec holds nothing.",
        "Write `version: 1` and the wished state, or remove the file.";
    SPEC_SYNTAX = "tokenform::spec::syntax", Error,
        "A file of the spec is not YAML.",
        "Correct the place that is shown; indent with spaces, never with tabs.";
    SPEC_DOCUMENTS = "tokenform::spec::several_documents", Error,
        "A file of the spec holds more than one YAML document.",
        "Put each document into a file of its own, in one folder.";
    SPEC_TOO_DEEP = "tokenform::spec::too_deep", Error,
        "Maps and lists of a file stand in each other deeper than any spec needs.",
        "Check the brackets and the indentation.";
    SPEC_ALIAS_BOMB = "tokenform::spec::alias_bomb", Error,
        "The YAML aliases of a file unfold into far more than the file holds.",
        "Write the values out, or split the spec into several files.";
    SPEC_MERGE_KEY = "tokenform::spec::merge_key", Error,
        "A YAML merge key `<<` stands in the spec.",
        "Write the keys out, or repeat a whole value with an alias (`*name`).";
    SPEC_DUPLICATE_KEY = "tokenform::spec::duplicate_key", Error,
        "A key stands twice in one map.",
        "Remove one of the two.";
    SPEC_CONFLICT = "tokenform::spec::conflict", Error,
        "Two files of the spec set the same thing.",
        "Keep it in one of the files; only maps are merged.";
    SPEC_VERSION = "tokenform::spec::version", Error,
        "A file of the spec has no version, or one that tokenform never had.",
        "Write `version: 1` at the top of each file.";
    SPEC_NEWER = "tokenform::spec::newer_version", Error,
        "The spec is written in a newer version of the language.",
        "Upgrade tokenform.";
    SPEC_UNKNOWN_KEY = "tokenform::spec::unknown_key", Error,
        "A key is not part of the spec language.",
        "Correct or remove the key; nothing is silently ignored.";
    SPEC_MISSING_KEY = "tokenform::spec::missing_key", Error,
        "A key that is needed is missing.",
        "Add the key.";
    SPEC_WRONG_TYPE = "tokenform::spec::wrong_type", Error,
        "A value has the wrong type.",
        "Write a value of the type that is named.";
    SPEC_BAD_VALUE = "tokenform::spec::bad_value", Error,
        "A value has the right type and can't be used.",
        "Write a value as the message says.";
    SPEC_BAD_DURATION = "tokenform::spec::bad_duration", Error,
        "A value is not a duration.",
        "Write for example 90d, 24h, 15m, 30s or 1d12h.";
    SPEC_BAD_INSTANT = "tokenform::spec::bad_instant", Error,
        "A value is not an instant.",
        "Write RFC 3339 with a zone, for example 2026-11-01T00:00:00Z.";
    SPEC_BAD_ENDPOINT = "tokenform::spec::bad_endpoint", Error,
        "An endpoint is not an origin that a credential may be sent to.",
        "Write scheme, host and port alone: https://host or https://host:8443; http:// only for loopback.";
    SPEC_BAD_NAME = "tokenform::spec::bad_name", Error,
        "A name can't be used.",
        "Choose another name, as the message says.";
    SPEC_CHOOSE_ONE = "tokenform::spec::choose_one", Error,
        "Of several forms exactly one must be written.",
        "Keep one of them.";
    SPEC_LITERAL_SECRET = "tokenform::spec::literal_secret", Error,
        "A value stands where only a reference to a secret may stand.",
        "Write `{ env: NAME }`, `{ file: PATH }` or `{ command: [prog, arg] }`; if it is a real secret, revoke it.";
    SPEC_UNKNOWN_DESTINATION = "tokenform::spec::unknown_destination", Error,
        "A delivery names a destination that is not declared.",
        "Declare it under `destinations`, or correct the name.";
    SPEC_UNUSED_DESTINATION = "tokenform::spec::unused_destination", Warning,
        "A destination is declared and nothing is delivered to it.",
        "Deliver to it, or remove it.";
    SPEC_DELIVERY = "tokenform::spec::delivery", Error,
        "A delivery does not fit its destination or its token.",
        "Change `key` or `id_key` as the message says.";
    SPEC_SAME_SLOT = "tokenform::spec::same_slot", Error,
        "Two deliveries write to the same key of one destination.",
        "Give each delivery a key of its own.";
    SPEC_SAME_FILE = "tokenform::spec::same_file", Error,
        "Two destinations write to the same file.",
        "Declare the file once and deliver to it twice.";
    SPEC_SAME_PIN = "tokenform::spec::same_pin", Error,
        "Two objects are pinned to the same id.",
        "Correct one of the two, or remove it.";
    SPEC_ROTATE = "tokenform::spec::rotate", Error,
        "A rotation can't work as it is written.",
        "Change the periods as the message says.";
    SPEC_PROTECTED = "tokenform::spec::protected", Error,
        "A token is protected and has a rotation, or `protect: false` stands below what is protected.",
        "Remove `rotate` or `protect: false`, or the `protect: true` that the report shows.";
    SPEC_LOCKED_TOKEN = "tokenform::spec::locked_token", Error,
        "A token of an instance that is to refuse tokens has a rotation or a delivery.",
        "Remove it, or leave the instance on `external_api_auth: ANY`.";
    SPEC_ABSENT_TOKEN = "tokenform::spec::absent_token", Error,
        "A token that is to be absent has a rotation or a delivery.",
        "Remove it, or change `status`.";
    SPEC_SECOND_OWNER = "tokenform::spec::second_owner", Error,
        "A `second_owner` can't hold the next token of this name.",
        "Name another user with the same roles that holds no other bearer token.";
    SPEC_CHANGES = "tokenform::spec::changes", Error,
        "A change window or a freeze can't be as it is written.",
        "Change it as the message says.";
    SPEC_UNKNOWN_ZONE = "tokenform::spec::unknown_zone", Error,
        "A time zone is in no database of zones: neither the machine's nor the program's own.",
        "Write its IANA name, such as Europe/Berlin or UTC; update the machine's tzdata for a new one.";
    SPEC_NOT_YET = "tokenform::spec::not_yet", Error,
        "The spec uses a key whose behaviour is not built yet.",
        "Remove the key; nothing is silently ignored.";
    PLAN_NO_DESTINATION = "tokenform::plan::no_destination", Error,
        "A token would be created or rotated and its value delivered nowhere.",
        "Add a `deliver` entry; the value is shown once and can't be had again.";
    PLAN_LIMIT = "tokenform::plan::limit", Error,
        "The plan does more of one kind of change than `limits` allows.",
        "Split the change, or raise the limit in the spec.";
    PLAN_PROTECTED = "tokenform::plan::protected", Error,
        "The plan would change an object under `protect: true`, or one that the ledger remembers as protected.",
        "Leave the object alone; or write `protect: false` and apply that first, in a plan of its own.";
    PLAN_UNREADABLE = "tokenform::plan::unreadable", Error,
        "Live state could not be read, so no plan can be made.",
        "Fix the connection and run the command again; nothing was changed.";
    PLAN_NEW_STATE = "tokenform::plan::new_state", Warning,
        "The state folder has no ledger, so ages of IBM tokens are unknown.",
        "Check `--state`; review the plan, or accept it with `--new-state`.";
    PLAN_DISABLED_OUTSIDE = "tokenform::plan::disabled_outside", Warning,
        "A token that was enabled is disabled now, by the portal's inactivity rule or by a person.",
        "Review the change; `--auto-approve` leaves it out, unless the spec says `reenable: always`.";
    PLAN_KEY_CHANGED_OUTSIDE = "tokenform::plan::key_changed_outside", Warning,
        "A team's key is not the one that tokenform last knew: somebody has reset it.",
        "Find out who did it and why; the plan brings the present value where a dead one may be.";
    PLAN_MODE_CHANGED_OUTSIDE = "tokenform::plan::mode_changed_outside", Warning,
        "`external_api_auth` is not what tokenform set and the spec still wants: somebody has changed it.",
        "Find out who did it and why; the plan sets it again, with every reset that belongs to it.";
    PLAN_TEAM_AFTER_LOCK = "tokenform::plan::team_after_lock", Info,
        "A team of a locked instance was not there when it was locked, so its token was never reset.",
        "Nothing works with it while the instance is IAM_ONLY; look who made the team.";
    PLAN_MADE_OUTSIDE = "tokenform::plan::made_outside", Warning,
        "Tokens of a declared user were made by hand since tokenform last changed something there.",
        "Declare them, remove them, or leave them to `unlisted_tokens`.";
    PLAN_INACTIVE_SOON = "tokenform::plan::inactive_soon", Warning,
        "The portal's inactivity rule will soon disable a token that is not used.",
        "Find out whether anything still needs it: use it, or declare it `absent`.";
    PLAN_TOKEN_HISTORY_UNKNOWN = "tokenform::plan::token_history_unknown", Info,
        "The instance is locked already and the ledger does not say which tokens were reset before.",
        "Nothing to do; it is never unlocked to find out.";
    PLAN_AMBIGUOUS = "tokenform::plan::ambiguous", Error,
        "Several unlinked live objects have the declared name.",
        "Pin one with `id:`.";
    PLAN_RENAMED = "tokenform::plan::renamed", Error,
        "The object that the ledger remembers has another name now.",
        "Rename it in the spec, or pin it by id.";
    PLAN_SHARED = "tokenform::plan::shared", Error,
        "Two declared names stand for one live object.",
        "Declare it once, or pin each by its own id.";
    PLAN_USER_MISSING = "tokenform::plan::user_missing", Error,
        "The declared user does not exist; users are never created.",
        "Create the user, or correct the name.";
    PLAN_NOTHING_TO_DISABLE = "tokenform::plan::nothing_to_disable", Error,
        "A token is declared disabled, but does not exist.",
        "Create it with `status: enabled` first, or declare it absent.";
    PLAN_OWNER_REFUSED = "tokenform::plan::owner_refused", Error,
        "The owner can't hold a usable token: suspended, stock administrator or `lmsupport`.",
        "Use an active API-only user with a custom role.";
    LM_OWNER_SUSPENDED = "tokenform::logicmonitor::owner_suspended", Warning,
        "The user that holds the token in use is not active, so it does not work; what it replaced is kept.",
        "Activate the user in the portal; a suspended user can't hold the next token either.";
    PLAN_RESETS_OWED = "tokenform::plan::resets_owed", Warning,
        "An instance was unlocked, and the resets that must follow did not all happen.",
        "Reset the token of the team in the console, or lock the instance again.";
    PLAN_NOT_COVERED = "tokenform::plan::not_covered", Warning,
        "`other_teams: ignore` locks an instance without resetting the tokens of some teams.",
        "If the instance is unlocked one day, those tokens work again.";
    PLAN_OTHER_TEAMS = "tokenform::plan::other_teams", Error,
        "`other_teams: refuse` and a visible team is not listed.",
        "List the team, or set `other_teams: reset`.";
    PLAN_CHECK = "tokenform::plan::check", Error,
        "The independent checker refused the plan.",
        "Make the plan again; a plan that breaks an invariant never runs.";
    PLAN_NAME_NOT_FOUND = "tokenform::plan::name_not_found", Error,
        "No live object has the declared name or pin.",
        "Correct the name in the spec, or pin the object by id.";
    PLAN_TARGET = "tokenform::plan::target", Error,
        "A lever of the command line names nothing that is there.",
        "Correct the address; quotes belong to it, so quote the whole for the shell.";
    PLAN_CANT_ROTATE = "tokenform::plan::cant_rotate", Error,
        "A token that `--rotate` names can't be rotated.",
        "Take it out of `--rotate`, or change what the message names.";
    PLAN_NOT_WRITABLE = "tokenform::plan::not_writable", Error,
        "The object is in a state in which the vendor refuses changes.",
        "Wait, or lift what holds it, and plan again.";
    PLAN_GUIDED_SERVICE_ID = "tokenform::plan::guided_service_id", Error,
        "A guided reset needs a person in the console, and this identity is a service ID.",
        "Use a credential of a person, or `token_reset: { method, path }`.";
    PLAN_GUIDED_NO_TERMINAL = "tokenform::plan::guided_no_terminal", Error,
        "A plan with guided resets needs a person, and there is no terminal.",
        "Run it in a terminal, or pass `--guided wait`.";
    IBM_TEAM_HEADER_UNPROVEN = "tokenform::ibm::team_header_unproven", Error,
        "It could not be proved that the team header selects the team.",
        "Nothing was reset; check the endpoint and the identity's teams.";
    IBM_ACCEPT_UNVERIFIED = "tokenform::ibm::accept_unverified", Error,
        "`external_api_auth` on Workload Protection is undocumented by the vendor.",
        "Set `accept_unverified: true` on the instance if you accept that.";
    IBM_UNKNOWN_AUTH_MODE = "tokenform::ibm::unknown_auth_mode", Error,
        "The live value of `external_api_auth` is neither ANY nor IAM_ONLY.",
        "Look at the instance in the console; tokenform does not plan over it.";
    IBM_MODE_CONFLICT = "tokenform::ibm::mode_conflict", Error,
        "The stored setting and the mode in force differ: a change is still spreading, or a permission is missing.",
        "Wait a minute and plan again; if it stays, check that the identity may read API tokens.";
    IBM_LOCKED_OUT = "tokenform::ibm::locked_out", Error,
        "A wish about a token can't be met while the instance is IAM_ONLY.",
        "Declare `external_api_auth: ANY`, or remove `rotate` and `deliver`.";
    IBM_OTHER_ACCOUNT = "tokenform::ibm::other_account", Error,
        "The credential belongs to another account than the spec names.",
        "Use the credential of the declared account, or correct `account`.";
    IBM_TOKEN_REFUSED = "tokenform::ibm::token_refused", Error,
        "The token of a team can't be read with this identity.",
        "Grant it the role that reads API tokens (Writer or Manager) and membership of the team.";
    IBM_NO_ACCESS = "tokenform::ibm::no_access", Error,
        "The instance does not know this identity, or the host is another instance's.",
        "Grant the identity a role and a team, open the dashboard once with it, and check region and endpoint.";
    IBM_USERNAME = "tokenform::ibm::username", Error,
        "A username can't stand in the path of a request.",
        "Correct `owner`, or the `token_reset` path.";
    IBM_RESET_UNCONFIRMED = "tokenform::ibm::reset_unconfirmed", Error,
        "It is not proved that the old token is dead.",
        "Look at the team's token in the console; `tokenform status` says how to go on.";
    IBM_RESET_PATH = "tokenform::ibm::reset_path", Error,
        "The configured `token_reset` call is not one that the vendor knows.",
        "Correct `method` and `path`: what your own console calls when its button is pressed.";
    IBM_MODE_UNCONFIRMED = "tokenform::ibm::mode_unconfirmed", Error,
        "It is not proved that the authentication mode took effect.",
        "Look at the instance, then plan again; nothing is sent twice.";
    IBM_PARAMETERS_CHANGED = "tokenform::ibm::parameters_changed", Error,
        "Other parameters of the instance are not as they were before the change.",
        "Compare them with the values named here and restore what was not meant to change.";
    LOCK_NOT_COVERED = "tokenform::apply::lock_not_covered", Error,
        "A visible team has no proved reset of this plan, or its token has moved since.",
        "Plan again: the new plan covers the teams that are visible now.";
    PLAN_OLD_IN_USE = "tokenform::plan::old_in_use", Warning,
        "A replaced token was disabled and is still used.",
        "Give that consumer the new value, then state it in the spec: `consumers_moved: INSTANT` under `rotate`. Nothing is retired until then.";
    LM_UNWATCHED = "tokenform::logicmonitor::unwatched", Warning,
        "The portal's audit log can't be read, so a consumer that still tries a disabled token is not seen.",
        "Grant tokenform's role the right to view audit logs, and wait with the deletion until it can read them.";
    LM_CREDENTIAL_IN_USE = "tokenform::logicmonitor::credential_in_use", Error,
        "A token that is to be disabled or deleted is what a connection of the spec logs in with now.",
        "Give that connection another credential first, then plan again.";
    LM_UNKNOWN_STATUS = "tokenform::logicmonitor::unknown_status", Error,
        "A token's status is neither 1 (disabled) nor 2 (enabled).",
        "Look at the token in the portal; tokenform does not act on a status it does not know.";
    LM_UNUSABLE_ANSWER = "tokenform::logicmonitor::unusable_answer", Error,
        "The portal created a token and its answer can't be used.",
        "The useless token is deleted again; see what the portal answered and try once more.";
    LM_NOT_PROVED = "tokenform::logicmonitor::not_proved", Error,
        "The portal does not show yet what a step has done.",
        "Wait a minute, look at the token in the portal, and plan again.";
    SEAL_EDITED = "tokenform::seal::edited", Error,
        "The plan file's bytes do not match its seal.",
        "Make the plan again; an edited plan never runs.";
    SEAL_OTHER_KEY = "tokenform::seal::other_key", Error,
        "The plan file was sealed with another key.",
        "Use the same `--state` or `TOKENFORM_KEY` in both jobs.";
    SEAL_MALFORMED = "tokenform::seal::malformed", Error,
        "The file is not a whole plan file.",
        "Make the plan again with `plan -o FILE`.";
    SEAL_NEWER = "tokenform::seal::newer_format", Error,
        "The plan file was written by a newer tokenform.",
        "Upgrade tokenform, or make the plan again with this version.";
    SNAPSHOT_MALFORMED = "tokenform::snapshot::malformed", Error,
        "The file is not a whole snapshot.",
        "Take it again with `snapshot -o FILE`.";
    SNAPSHOT_NEWER = "tokenform::snapshot::newer_format", Error,
        "The snapshot was written by a newer tokenform.",
        "Upgrade tokenform, or take the snapshot again with this version.";
    SNAPSHOT_DAMAGED = "tokenform::snapshot::damaged", Error,
        "A snapshot's bytes are not the ones that were written.",
        "Take it again with `snapshot -o FILE`; keep line ends as they are where it is stored.";
    SNAPSHOT_OTHER = "tokenform::snapshot::other_spec", Error,
        "A snapshot was read for another version of the spec, and lacks what this one declares.",
        "Take it again with this spec: `snapshot PATH -o FILE`.";
    REVIEW_APPROVALS = "tokenform::review::approvals", Error,
        "A plan has fewer valid approvals than are required.",
        "Sign the plan file: ssh-keygen -Y sign -n tokenform -f KEY PLANFILE, and keep the signature beside it.";
    REVIEW_SIGNATURE = "tokenform::review::signature", Error,
        "A signature over a plan file does not count.",
        "Sign the plan file as it is now, with a key of the allowed signers, for the namespace tokenform.";
    REVIEW_SIGNERS = "tokenform::review::allowed_signers", Error,
        "The file of allowed signers is missing or can't be used.",
        "Name it with `--allowed-signers` or in the spec; see ssh-keygen(1), ALLOWED SIGNERS, for its form.";
    REVIEW_SAME_PERSON = "tokenform::review::same_person", Error,
        "People who must be different may be the same.",
        "Let somebody else do it; approvals.differ in the spec says who must differ.";
    POLICY_DENIED = "tokenform::policy::denied", Error,
        "A policy denies the plan.",
        "Change the spec so that the policy holds, or talk to whoever keeps the policy.";
    POLICY_WARNED = "tokenform::policy::warned", Warning,
        "A policy warns of the plan.",
        "Consider it before you approve.";
    POLICY_BROKEN = "tokenform::policy::broken", Error,
        "The policies can't be evaluated, so nothing passes them.",
        "Correct the file that is named; policies are Rego in the package `main`.";
    FROM_SNAPSHOT = "tokenform::apply::from_snapshot", Error,
        "A plan that was made from a snapshot can't be applied: it tells of the past.",
        "Make a plan from live state, without `--live`.";
    USAGE = "tokenform::cli::usage", Error,
        "A command was asked for something it can't do.",
        "See `tokenform help COMMAND`.";
    NOT_YET = "tokenform::cli::not_yet", Error,
        "A command or a flag is promised and not built yet.",
        "See `tokenform help` for what there is.";
    OUTPUT = "tokenform::cli::output", Error,
        "Standard output could not be written.",
        "Look at free space where it goes, then run the command again.";
    INTERRUPTED = "tokenform::cli::interrupted", Error,
        "Ctrl-C or SIGTERM ended the run before it changed anything.",
        "Run it again when you are ready.";
    WRONG_TARGET = "tokenform::apply::wrong_target", Error,
        "A plan for the sandbox was given to a live apply, or the other way round.",
        "Apply it in the mode it was made in: with or without `--sandbox`.";
    NOT_APPROVED = "tokenform::apply::not_approved", Error,
        "The prompt was not answered with the exact word `yes`.",
        "Nothing was changed; run it again when you are ready.";
    SETTLED_AS_NOTHING = "tokenform::apply::settled_as_nothing", Warning,
        "A step of an interrupted apply did not happen.",
        "Plan again; the step is planned anew if it is still wanted.";
    SETTLED_UNPROVED = "tokenform::apply::settled_unproved", Warning,
        "A reset of an interrupted apply happened, and its old key was last seen working.",
        "Reset the token once more: set `issued_after` to now in its `rotate`, or press the console's button.";
    SECRET_LOST = "tokenform::apply::secret_lost", Warning,
        "A secret that is shown once was lost with an interrupted apply.",
        "Plan again; a token that was deleted is issued anew.";
    PARTLY_DELIVERED = "tokenform::apply::partly_delivered", Error,
        "A secret that is shown once reached some of its destinations and not all.",
        "Mend the destination and plan again: the token is issued anew and brought to all of them.";
    UNFINISHED = "tokenform::apply::unfinished", Error,
        "An earlier apply was interrupted and left steps that may have happened.",
        "Mend what keeps it from being looked at, and apply again; `tokenform status` shows what is open.";
    IN_FLIGHT = "tokenform::apply::in_flight", Warning,
        "An earlier apply left steps that may have happened, so a plan can mistake what is live.",
        "See `tokenform status` first; nothing new is applied until it is settled.";
    SANDBOX = "tokenform::sandbox::failed", Error,
        "The sandbox could not be started or kept.",
        "Check the world file and the state folder.";
    PLAN_NEW_STATE_REFUSED = "tokenform::plan::new_state_refused", Error,
        "Resets that are due only to unknown ages need a person's eye.",
        "Review a saved plan, answer the prompt, or pass `--new-state`.";
    PLAN_CALLER = "tokenform::plan::caller", Error,
        "The plan would disable or delete a credential that a connection of the spec uses.",
        "Give the connection another credential first; where it can't be told which token a connection uses, let it be had here.";
    PLAN_LIMITS_CHANGED = "tokenform::plan::limits_changed", Info,
        "The limits of this plan were changed on the command line.",
        "Review whether so many changes are meant.";
    PLAN_OUTSIDE_WINDOW = "tokenform::plan::outside_window", Warning,
        "By the spec's `changes` this plan can't be applied now: no change window is open, or changes are frozen.",
        "Apply it when changes may be made; in need, plan with `--outside-window REASON`.";
    APPLY_OUTSIDE_WINDOW = "tokenform::apply::outside_window", Error,
        "No change window of the spec is open, or changes are frozen.",
        "Apply it when changes may be made; in need, make another plan with `--outside-window REASON`.";
    STALE = "tokenform::apply::stale", Error,
        "The spec or live state moved since the plan was made, or the plan expired.",
        "Make and review a new plan.";
    HTTP_CALL = "tokenform::http::call", Error,
        "A vendor's answer was not the one that was needed.",
        "See the status, the vendor's code and the correlation id.";
    HTTP_CLOCK_SKEW = "tokenform::http::clock_skew", Error,
        "A signed request was refused and this machine's clock is far from the server's.",
        "Set the clock; a signature holds for 30 minutes at most.";
    CREDENTIAL = "tokenform::credential::unresolved", Error,
        "A credential reference could not be resolved.",
        "Check the environment variable, file or command that the spec names.";
    DESTINATION = "tokenform::destination::unusable", Error,
        "A destination can't take the value.",
        "Fix the destination and run the command again.";
    STATE_IO = "tokenform::state::io", Error,
        "A file of the state folder could not be read or written.",
        "Check permissions and free space, then run the command again; `status` shows what is in flight.";
    STATE_KEY = "tokenform::state::key", Error,
        "The state's key is missing, readable by others, or not 32 bytes of base64.",
        "Use the same `--state` or `TOKENFORM_KEY` as earlier runs.";
    STATE_HELD = "tokenform::state::held", Error,
        "Another run holds the state's lock.",
        "Wait for it to end; `tokenform lock list` shows who it is.";
    STATE_DAMAGED = "tokenform::state::damaged", Error,
        "A line of the ledger or the journal is not as it was written.",
        "Restore the file from a backup; tokenform does not guess what it said.";
    STATE_NEWER = "tokenform::state::newer_format", Error,
        "A file of the state folder was written by a newer tokenform.",
        "Upgrade tokenform.";
    STATE_UNSETTLED = "tokenform::state::unsettled", Error,
        "The journal of an interrupted apply is still open.",
        "See `tokenform status`.";
    STATE_TORN = "tokenform::state::torn", Warning,
        "A crash left the last line of a file half written; nothing had acted on it.",
        "Nothing to do; the half line is dropped.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the command line knows; a command or a flag that is built joins them.
    const COMMANDS: [&str; 12] = [
        "apply", "check", "forget", "help", "lock", "plan", "sandbox", "schema", "show", "snapshot",
        "status", "validate",
    ];
    const FLAGS: [&str; 10] = [
        "--allowed-signers",
        "--auto-approve",
        "--guided",
        "--live",
        "--new-state",
        "--outside-window",
        "--rotate",
        "--sandbox",
        "--state",
        "--target",
    ];
    /// Words that the product has a command for, which is not built yet.
    const NOT_BUILT: [&str; 4] = ["completions", "explain", "import", "man"];

    #[test]
    fn no_cure_names_a_command_or_a_flag_that_is_not_there() {
        for code in ALL {
            for quoted in code.cure().split('`').skip(1).step_by(2) {
                let mut words = quoted.split(' ').peekable();
                let named = words.next_if_eq(&"tokenform").is_some();
                let command = words.peek().copied().unwrap_or_default();
                assert!(!named || COMMANDS.contains(&command), "{}: `{quoted}`", code.id());
                assert!(!NOT_BUILT.contains(&command), "{}: `{quoted}`", code.id());
                let mut flags = words.filter(|word| word.starts_with("--"));
                assert!(flags.all(|flag| FLAGS.contains(&flag)), "{}: `{quoted}`", code.id());
            }
        }
    }

    #[test]
    fn codes_are_unique_and_say_cause_and_cure() {
        let mut ids: Vec<_> = ALL.iter().map(|c| c.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        for code in ALL {
            assert!(code.id().starts_with("tokenform::"), "{}", code.id());
            assert!(code.0.cause.ends_with('.') && code.cure().ends_with('.'), "{}", code.id());
        }
    }
}
