//! The estates of the matrices: a world, its spec, and which of the job's calls are faulted.

/// A job that is disturbed.
pub struct Estate {
    pub name: &'static str,
    pub world: &'static str,
    pub spec: &'static str,
    /// Teams whose new value goes to a destination: one reset is all they ever need.
    pub delivered: &'static [(&'static str, &'static str)],
    pub calls: &'static [Call],
}

pub static ESTATES: [Estate; 2] = [
    Estate {
        name: "verbs",
        world: include_str!("verbs/verbs.world.yaml"),
        spec: include_str!("verbs/tokens.yaml"),
        delivered: &[("mon-open", "SRE"), ("mon-unlock", "Lab")],
        calls: VERBS,
    },
    Estate {
        name: "life",
        world: include_str!("life/life.world.yaml"),
        spec: include_str!("life/tokens.yaml"),
        delivered: &[],
        calls: LIFE,
    },
];

/// A mutating call: its name, the request, which of its kind, and what a run that fails there names.
pub struct Call {
    pub name: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub nth: u32,
    pub names: &'static str,
}

/// In the order of the plan. A retried request counts as another one of its kind, so that a fault
/// that lasts hits all that come after it too.
const VERBS: &[Call] = &[
    call("reset, single-slot", "POST", RESET, 1, "ibm.prod.mon"),
    call("reset, invalidate", "POST", RESET, 2, "ibm.prod.mon"),
    call("reset, later", "POST", RESET, 4, "ibm.prod"),
    call("auth mode, first", "PATCH", INSTANCE, 1, "ibm.prod."),
    call("auth mode, second", "PATCH", INSTANCE, 2, "ibm.prod."),
    call("auth mode, third", "PATCH", INSTANCE, 3, "ibm.prod."),
    call("create, api token", "POST", "/santaba/rest/setting/admins/32/apitokens", 1, "svc-ci"),
    call("create, second api token", "POST", "/santaba/rest/setting/admins/32/apitokens", 2, "svc-ci"),
    call("create, bearer token", "POST", "/santaba/rest/setting/admins/33/apitokens", 1, "otel"),
    call("status, disable", "PATCH", "/santaba/rest/setting/admins/32/apitokens/252", 1, "ci-legacy"),
    call("status, enable", "PATCH", "/santaba/rest/setting/admins/32/apitokens/251", 1, "ci-nightly"),
    call("delete", "DELETE", "/santaba/rest/setting/admins/32/apitokens/253", 1, "ci-2024"),
];

const RESET: &str = "/sandbox-invented/api/token/reset";
const INSTANCE: &str = "/v2/resource_instances/*";

const fn call(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    nth: u32,
    names: &'static str,
) -> Call {
    Call { name, method, path, nth, names }
}

const LIFE: &[Call] = &[
    call("replace, delete", "DELETE", "/santaba/rest/setting/admins/33/apitokens/260", 1, "agent"),
    call("replace, create", "POST", "/santaba/rest/setting/admins/33/apitokens", 1, "agent"),
    call("replace, create with an id", "POST", "/santaba/rest/setting/admins/34/apitokens", 1, "batch"),
    call("create, at the second owner", "POST", "/santaba/rest/setting/admins/36/apitokens", 1, "pair"),
    call(
        "retire, disable at the other owner",
        "PATCH",
        "/santaba/rest/setting/admins/37/apitokens/290",
        1,
        "duo",
    ),
    call("retire, disable with a note", "PATCH", "/santaba/rest/setting/admins/32/apitokens/250", 1, "dusk"),
    call("retire, delete", "DELETE", "/santaba/rest/setting/admins/32/apitokens/252", 1, "dawn"),
    call("retire, bring back", "PATCH", "/santaba/rest/setting/admins/32/apitokens/254", 1, "noon"),
];
