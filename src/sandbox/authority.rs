//! The proxy's certificate authority: its own certificate, and one for each host that is asked for.
//!
//! Its key is made at the start and never leaves memory, and its certificate is limited to the
//! vendors' domains: who trusts it trusts nothing else by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::hosts::DOMAINS;

/// How long certificates are valid, from a day before the start.
const DAYS: i64 = 365;

/// Why there is no certificate.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The authority of one run.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    start: Timestamp,
    hosts: Mutex<BTreeMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// Makes the key and the certificate; `now` is the time that clients go by.
    pub fn new(now: Timestamp) -> Result<Self, Failed> {
        let mut params = dated(CertificateParams::new(Vec::new())?, now);
        params.distinguished_name.push(DnType::CommonName, "tokenform sandbox authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: DOMAINS.map(|domain| GeneralSubtree::DnsName(domain.to_owned())).to_vec(),
            excluded_subtrees: Vec::new(),
        });
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer, start: now, hosts: Mutex::default() })
    }

    /// The certificate to trust, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    /// How to speak TLS as a host; made once for each.
    pub fn of_host(&self, host: &str) -> Result<Arc<ServerConfig>, Failed> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = hosts.get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.config(host)?);
        hosts.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn config(&self, host: &str) -> Result<ServerConfig, Failed> {
        let key = KeyPair::generate()?;
        let mut params = dated(CertificateParams::new(vec![host.to_owned()])?, self.start);
        params.distinguished_name.push(DnType::CommonName, "tokenform sandbox");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = vec![CertificateDer::from(certificate), self.issuer.as_ref().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Valid from the day before, so that a clock that is a little off does no harm.
fn dated(mut params: CertificateParams, now: Timestamp) -> CertificateParams {
    let day = |days: i64| {
        let at = now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
        let date = at.to_zoned(TimeZone::UTC).date();
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(-1), day(DAYS));
    params
}
