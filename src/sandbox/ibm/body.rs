//! An instance as the resource controller shows it.

use serde::Serialize;
use serde_json::json;

use super::estate::{Account, Instance};
use super::resource_controller::ROOT;
use crate::sandbox::json::Json;

const CREATED: &str = "2026-01-02T03:04:05.600Z";

/// An instance as GET shows it (contract ibm 2.4).
#[derive(Serialize)]
pub struct Body<'a> {
    id: String,
    guid: &'a str,
    crn: String,
    url: String,
    name: &'a str,
    account_id: &'a str,
    region_id: &'a str,
    resource_group_id: &'a str,
    resource_group_crn: String,
    resource_id: &'a str,
    resource_plan_id: &'a str,
    target_crn: &'a str,
    r#type: &'a str,
    sub_type: &'a str,
    state: &'a str,
    locked: bool,
    allow_cleanup: bool,
    migrated: bool,
    controlled_by: &'a str,
    dashboard_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
    extensions: serde_json::Value,
    last_operation: serde_json::Value,
    plan_history: serde_json::Value,
    created_at: &'a str,
    created_by: &'a str,
    updated_at: String,
    updated_by: &'a str,
    deleted_at: Option<&'a str>,
    deleted_by: &'a str,
    scheduled_reclaim_at: Option<&'a str>,
    restored_at: Option<&'a str>,
    resource_aliases_url: String,
    resource_bindings_url: String,
    resource_keys_url: String,
}

impl<'a> Body<'a> {
    pub fn new(account: &'a Account, key: &'a str, instance: &'a Instance) -> Self {
        let (crn, guid) = (instance.crn(account.id()), instance.guid());
        let (group, account_id) = (&instance.resource_group, account.id());
        let operation = &instance.operation;
        let last_operation = json!({
            "type": operation.kind, "state": operation.state, "async": operation.r#async,
            "description": format!("{} {} instance operation", said(&operation.state), operation.kind),
            "cancelable": false, "poll": operation.r#async
        });
        Self {
            id: crn.clone(),
            guid,
            crn,
            url: format!("{ROOT}/{guid}"),
            name: instance.name(key),
            account_id,
            region_id: &instance.region,
            resource_group_id: group,
            resource_group_crn: format!(
                "crn:v1:bluemix:public:resource-controller::a/{account_id}::resource-group:{group}"
            ),
            resource_id: "00000000-sandbox-offering",
            resource_plan_id: &instance.plan,
            target_crn: "crn:v1:bluemix:public:globalcatalog::::deployment:sandbox",
            r#type: "service_instance",
            sub_type: "",
            state: &instance.state,
            locked: instance.locked,
            allow_cleanup: false,
            migrated: false,
            controlled_by: &instance.controlled_by,
            dashboard_url: format!("https://cloud.ibm.com/observe/embedded-view/monitoring/{guid}"),
            parameters: instance.parameters.as_ref(),
            extensions: json!({}),
            last_operation,
            plan_history: json!([{ "resource_plan_id": instance.plan, "start_date": CREATED, "requestor_id": "IBMid-000000" }]),
            created_at: CREATED,
            created_by: "IBMid-000000",
            updated_at: instance.updated_at.map_or_else(|| CREATED.to_owned(), |at| format!("{at:.3}")),
            updated_by: account.username(),
            deleted_at: None,
            deleted_by: "",
            scheduled_reclaim_at: None,
            restored_at: None,
            resource_aliases_url: format!("{ROOT}/{guid}/resource_aliases"),
            resource_bindings_url: format!("{ROOT}/{guid}/resource_bindings"),
            resource_keys_url: format!("{ROOT}/{guid}/resource_keys"),
        }
    }
}

fn said(state: &str) -> &'static str {
    match state {
        "succeeded" => "Completed",
        "failed" => "Failed",
        _ => "Running",
    }
}
