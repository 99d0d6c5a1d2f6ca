//! Wish + observation → changes and steps, as inline snapshots; the checker; properties.

mod amended;
mod callers;
mod check;
mod drift;
mod effects;
mod ibm;
mod incident;
mod lacking;
mod limits;
mod lineage;
mod logicmonitor;
mod model;
mod mutants;
mod mutation;
mod order;
mod partial;
mod properties;
mod protect;
mod replace;
mod retire;
mod rotate;
mod second_owner;
mod target;
mod team_tokens;
mod unlisted;
mod unlock;
mod worlds;

/// Compares a plan's story with an inline snapshot.
macro_rules! tells {
    ($world:expr, $story:expr) => {
        snapbox::assert_data_eq!($world.story(), snapbox::IntoData::raw($story))
    };
}
use tells;
