//! Tests of whole specs: what loads, and every error with its code and place.

use std::path::Path;

use jiff::Timestamp;

use super::{Loaded, Rejected, load, schema};
use crate::model::address::Address;
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::model::vocabulary::{Period, SecretRef};
use crate::provider::ibm::state::{AuthMode, Service, TokenReset};
use crate::provider::state::{Destination, Limits};

#[test]
fn print_schema() {
    eprintln!("{}", serde_json::to_string_pretty(&schema()).unwrap());
}
