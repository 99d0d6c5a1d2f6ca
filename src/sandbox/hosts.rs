//! The vendors' host names, and which paths each of them serves (contract ibm 1.1, 2.1, 3; contract
//! logicmonitor 1).
//!
//! On the sandbox's own port all vendors share one origin. Through the proxy a request comes with a
//! vendor's host, and one with another host's path gets the 404 that it would get from the vendor.

use super::{ibm, logicmonitor};

/// The domains that all of the vendors' hosts are below.
pub const DOMAINS: [&str; 3] = ["cloud.ibm.com", "logicmonitor.com", "lmgov.us"];

/// Who answers at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Iam,
    ResourceController,
    /// Monitoring or Workload Protection of any region.
    Sysdig,
    LogicMonitor,
}

/// The service behind a host name, private endpoints included; `None` for everyone else's hosts.
pub fn service(host: &str) -> Option<Service> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let domain = DOMAINS.into_iter().find(|domain| under(&host, domain))?;
    if domain != DOMAINS[0] {
        return Some(Service::LogicMonitor);
    }
    let name = host.strip_suffix(".cloud.ibm.com")?;
    let last = name.rsplit('.').next().unwrap_or(name);
    match last {
        "iam" => Some(Service::Iam),
        "resource-controller" => Some(Service::ResourceController),
        "monitoring" | "security-compliance-secure" if name != last => Some(Service::Sysdig),
        _ => None,
    }
}

/// A proper subdomain.
fn under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl Service {
    /// Whether the service has that path. The Sysdig API has all that no other has: a reset call
    /// may stand anywhere.
    pub fn has(self, path: &str) -> bool {
        self == Self::of_path(path)
    }

    fn of_path(path: &str) -> Self {
        if path.starts_with(logicmonitor::ROOT) {
            Self::LogicMonitor
        } else if path.starts_with("/identity/") || path.starts_with("/oidc/") {
            Self::Iam
        } else if path.starts_with(ibm::INSTANCES) {
            Self::ResourceController
        } else {
            Self::Sysdig
        }
    }
}

/// Whether a `Host` header asks one vendor for the path of another. Any host that is no vendor's,
/// such as `127.0.0.1`, serves everything.
pub fn mistaken(host: &str, path: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    service(name).is_some_and(|service| !service.has(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_hosts_are_known_and_no_others() {
        let rows = [
            ("iam.cloud.ibm.com", Some(Service::Iam)),
            ("private.us-south.iam.cloud.ibm.com", Some(Service::Iam)),
            ("resource-controller.cloud.ibm.com", Some(Service::ResourceController)),
            ("us-south.monitoring.cloud.ibm.com", Some(Service::Sysdig)),
            ("private.eu-de.monitoring.cloud.ibm.com.", Some(Service::Sysdig)),
            ("EU-DE.security-compliance-secure.cloud.ibm.com", Some(Service::Sysdig)),
            ("acme.logicmonitor.com", Some(Service::LogicMonitor)),
            ("acme.lmgov.us", Some(Service::LogicMonitor)),
            ("monitoring.cloud.ibm.com", None),
            ("logicmonitor.com", None),
            (".logicmonitor.com", None),
            ("evil-logicmonitor.com", None),
            ("iam.cloud.ibm.com.example.com", None),
            ("example.com", None),
            ("", None),
        ];
        for (host, expected) in rows {
            assert_eq!(service(host), expected, "{host}");
        }
    }

    #[test]
    fn a_vendors_host_has_its_own_paths_only() {
        assert!(!mistaken("iam.cloud.ibm.com:443", "/identity/token"));
        assert!(mistaken("iam.cloud.ibm.com", "/v2/resource_instances"));
        assert!(!mistaken("resource-controller.cloud.ibm.com", "/v2/resource_instances/x"));
        assert!(mistaken("us-south.monitoring.cloud.ibm.com", "/v2/resource_instances"));
        assert!(!mistaken("us-south.monitoring.cloud.ibm.com", "/api/token"));
        assert!(mistaken("acme.logicmonitor.com", "/api/token"));
        assert!(!mistaken("127.0.0.1:8080", "/api/token") && !mistaken("", "/identity/token"));
    }
}
