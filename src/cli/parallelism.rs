//! `--parallelism N`: how much happens at once.

use std::num::NonZeroUsize;

use clap::Args;

use crate::apply::PARALLELISM;
use crate::http::Reader;

/// How much happens at once.
#[derive(Args, Default)]
pub struct Parallelism {
    /// At most so many requests at once, and with `apply` so many lanes: the steps of one instance or
    /// user, in plan order. Default: 10 lanes and 32 requests, or fewer where a vendor's rate limit says so
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    parallelism: Option<NonZeroUsize>,
}

impl Parallelism {
    pub fn lanes(&self) -> NonZeroUsize {
        self.parallelism.unwrap_or(PARALLELISM)
    }

    /// Holds a reader, and whatever writes with it, to so many requests.
    pub fn bound(&self, reader: &Reader) {
        if let Some(most) = self.parallelism {
            reader.at_most(most);
        }
    }
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "give a whole number from 1".to_owned())
}
