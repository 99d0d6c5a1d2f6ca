//! An instance out of the rows that resource controller lists: which one is meant, what it is, and
//! whether it can be changed.

use super::client::Told;
use super::parameters;
use super::state::{HeaderProof, Instance, LiveInstance, LiveTeam, Probe, Service};
use super::wire::{Row, Team};
use crate::model::address::Address;
use crate::model::code::{IBM_OTHER_ACCOUNT, PLAN_AMBIGUOUS, PLAN_NAME_NOT_FOUND, PLAN_NOT_WRITABLE};
use crate::model::finding::Finding;

/// The one row that a declared instance means: by pin, else by name, byte for byte, among the
/// instances of its service and region.
pub fn find<'r>(rows: &'r [Row], address: &Address, declared: &Instance) -> Told<&'r Row> {
    let hits: Vec<&Row> = rows.iter().filter(|row| is_meant(row, address, declared)).collect();
    match hits[..] {
        [row] => Ok(row),
        [] => Err(none(rows, address, declared)),
        _ => Err(several(&hits, address)),
    }
}

fn is_meant(row: &Row, address: &Address, declared: &Instance) -> bool {
    is_called(row, address, declared)
        && row.service() == declared.service.crn_name()
        && declared.region.as_deref().is_none_or(|region| region == row.region())
}

fn is_called(row: &Row, address: &Address, declared: &Instance) -> bool {
    match &declared.guid {
        Some(guid) => row.guid() == guid,
        None => row.name() == address.name(),
    }
}

fn none(rows: &[Row], address: &Address, declared: &Instance) -> Box<Finding> {
    let wanted = match &declared.guid {
        Some(guid) => format!("with guid {guid}"),
        None => format!("named `{}`", address.name()),
    };
    let region = declared.region.as_deref().map(|r| format!(" in {r}")).unwrap_or_default();
    let near: Vec<&str> = rows.iter().filter(|row| is_called(row, address, declared)).map(Row::crn).collect();
    let near = match near[..] {
        [] => String::new(),
        _ => format!("; of another service or region: {}", near.join(", ")),
    };
    let service = declared.service.crn_name();
    let told = format!("no visible `{service}` instance{region} {wanted}{near}");
    let help = "Correct name, service or region, or pin it with `guid:`; instances that are neither active nor \
                being made are not listed, nor are those that the identity may not see.";
    Box::new(Finding::new(PLAN_NAME_NOT_FOUND, told).at(address).help(help))
}

fn several(hits: &[&Row], address: &Address) -> Box<Finding> {
    let crns: Vec<&str> = hits.iter().map(|row| row.crn()).collect();
    let told = format!("{} instances are meant: {}", hits.len(), crns.join(", "));
    let help =
        "Instance names are not unique: pin one with `guid:`, or narrow with `region` or `resource_group`.";
    Box::new(Finding::new(PLAN_AMBIGUOUS, told).at(address).help(help))
}

/// Holds when every row belongs to the declared account.
pub fn check_account(rows: &[Row], connection: &Address, account: Option<&str>) -> Told<()> {
    let Some(account) = account else { return Ok(()) };
    match rows.iter().find(|row| row.account() != account) {
        None => Ok(()),
        Some(row) => {
            let told = format!(
                "the credential belongs to account {}, and the spec says {account}; nothing more was read",
                row.account()
            );
            Err(Box::new(Finding::new(IBM_OTHER_ACCOUNT, told).at(connection)))
        }
    }
}

/// The instance as far as its row and its teams tell. What takes more requests is left unknown.
pub fn live(row: &Row, service: Service, origin: String, teams: Vec<LiveTeam>) -> LiveInstance {
    let parameters = row.parameters().map(str::to_owned);
    LiveInstance {
        guid: row.guid().to_owned(),
        crn: row.crn().to_owned(),
        name: row.name().to_owned(),
        account: row.account().to_owned(),
        region: row.region().to_owned(),
        service,
        state: row.state.clone().unwrap_or_default(),
        locked: row.locked.unwrap_or(false),
        controlled_by: row.controlled_by.clone().filter(|crn| !crn.is_empty()),
        busy: row.busy(),
        setting: parameters::setting(parameters.as_deref()),
        parameters,
        updated_at: row.updated_at.clone().unwrap_or_default(),
        probed: Probe::Unknown,
        origin,
        identity: String::new(),
        service_id: false,
        header: HeaderProof::Unproven("it was not tried: no token is managed here".into()),
        teams,
    }
}

/// A team without its key.
pub fn team(team: &Team) -> LiveTeam {
    LiveTeam { id: team.id, name: team.name.clone(), fingerprint: None, user_count: team.user_count }
}

/// Holds when the vendor will take a change of the instance now (contract ibm 2.3, 2.7, 2.9).
pub fn check_writable(row: &Row, address: &Address, guid: &str, service: Service) -> Told<()> {
    let refuse = |told: String| Err(Box::new(Finding::new(PLAN_NOT_WRITABLE, told).at(address)));
    if row.guid() != guid || row.service() != service.crn_name() {
        return refuse(format!("the vendor answered with another instance: {}", row.crn()));
    }
    if row.locked == Some(true) {
        return refuse("the instance is locked in resource controller; unlock it there first".into());
    }
    if row.busy() {
        return refuse("an operation on the instance is in progress; wait until it has ended".into());
    }
    if let Some(owner) = row.controlled_by.as_deref().filter(|crn| !crn.is_empty()) {
        return refuse(format!("the instance is controlled by {owner}"));
    }
    match row.state.as_deref() {
        Some("active") => Ok(()),
        state => refuse(format!("the instance is `{}`, not `active`", state.unwrap_or("of unknown state"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ibm::testing::{declared, instance_address, row};

    #[test]
    fn an_instance_is_found_by_service_region_and_exact_name() {
        let address = instance_address();
        let mut declared = declared();
        declared.region = Some("us-south".into());
        let rows = [
            row("g1", "mon-prod", "sysdig-secure", "us-south"),
            row("g2", "mon-prod", "sysdig-monitor", "eu-de"),
            row("g3", "Mon-Prod", "sysdig-monitor", "us-south"),
            row("g4", "mon-prod", "sysdig-monitor", "us-south"),
        ];
        assert_eq!(find(&rows, &address, &declared).unwrap().guid(), "g4");
        let missing = find(&rows[..3], &address, &declared).unwrap_err();
        assert_eq!(missing.code, PLAN_NAME_NOT_FOUND);
        assert!(missing.message.contains(rows[0].crn()) && missing.message.contains(rows[1].crn()));
        assert!(!missing.message.contains(rows[2].crn()));
        declared.guid = Some("g3".into());
        assert_eq!(find(&rows, &address, &declared).unwrap().guid(), "g3");
    }

    #[test]
    fn several_hits_are_listed_and_none_is_taken() {
        let rows = [
            row("g1", "mon-prod", "sysdig-monitor", "us-south"),
            row("g2", "mon-prod", "sysdig-monitor", "eu-de"),
        ];
        let finding = find(&rows, &instance_address(), &declared()).unwrap_err();
        assert_eq!(finding.code, PLAN_AMBIGUOUS);
        assert!(finding.message.contains(rows[0].crn()) && finding.message.contains(rows[1].crn()));
    }

    #[test]
    fn another_account_stops_everything() {
        let rows = [row("g1", "mon-prod", "sysdig-monitor", "us-south")];
        let connection = Address::connection("ibm", "prod");
        assert!(check_account(&rows, &connection, Some("acct")).is_ok());
        assert!(check_account(&rows, &connection, None).is_ok());
        let finding = check_account(&rows, &connection, Some("other")).unwrap_err();
        assert_eq!(finding.code, IBM_OTHER_ACCOUNT);
    }

    #[test]
    fn only_a_quiet_active_and_unlocked_instance_is_writable() {
        let good = row("g1", "mon-prod", "sysdig-monitor", "us-south");
        let check = |row: &Row| check_writable(row, &instance_address(), "g1", Service::Monitoring);
        assert!(check(&good).is_ok());
        let bad = [
            r#"{"locked":true}"#,
            r#"{"last_operation":{"state":"in progress"}}"#,
            r#"{"controlled_by":"crn:x"}"#,
            r#"{"state":"removed"}"#,
            r#"{"state":null}"#,
            r#"{"guid":"g2"}"#,
        ];
        for json in bad {
            let change: Row = serde_json::from_str(json).unwrap();
            let row = Row {
                guid: change.guid.or(good.guid.clone()),
                locked: change.locked,
                controlled_by: change.controlled_by,
                last_operation: change.last_operation,
                state: if json.contains("state\":null") { None } else { change.state.or(good.state.clone()) },
                ..good.clone()
            };
            assert_eq!(check(&row).unwrap_err().code, PLAN_NOT_WRITABLE, "{json}");
        }
    }
}
