//! Ages of tokens against their limits: a bar from issue to due date each, on one scale of time.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::report::rows::AgeRow;
use crate::report::style::Tone;

/// More than this can't be compared by eye.
const MOST: usize = 60;

const NAMES: i64 = 430;
const WIDTH: i64 = 560;
const WORDS: i64 = 220;
const ROW: i64 = 26;
const TOP: i64 = 30;

/// The timeline: late ones first, as they come.
pub fn ages(ages: &[AgeRow]) -> Markup {
    let (shown, rest) = ages.split_at(ages.len().min(MOST));
    let scale = Scale::of(shown);
    let rows: Vec<_> = shown.iter().zip(0_i64..).collect();
    let (width, height) = (NAMES + WIDTH + WORDS, TOP + ROW * i64::try_from(shown.len()).unwrap_or(0) + 10);
    html! {
        p.dim { "Each bar runs from a token's issue to the day its rotation is due; red is what it is over that day." }
        div.wide {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
                role="img" aria-label="Ages of tokens against their limits" {
                @for (row, place) in rows { (bar(row, TOP + place * ROW, &scale)) }
                @if let Some(scale) = &scale { (now(scale, height)) }
            }
        }
        @if !rest.is_empty() { p.dim { (rest.len()) " more are due later." } }
    }
}

/// Seconds to places.
struct Scale {
    from: i64,
    to: i64,
    now: Timestamp,
}

impl Scale {
    fn of(ages: &[AgeRow]) -> Option<Self> {
        let lives: Vec<_> = ages.iter().filter_map(|row| row.life).collect();
        let now = ages.first()?.now;
        let ends = lives.iter().flat_map(|(issued, due)| [*issued, *due]).chain([now]);
        let seconds: Vec<i64> = ends.map(Timestamp::as_second).collect();
        Some(Self { from: *seconds.iter().min()?, to: *seconds.iter().max()?, now })
    }

    fn x(&self, at: Timestamp) -> i64 {
        NAMES + WIDTH * (at.as_second() - self.from) / (self.to - self.from).max(1)
    }
}

fn bar(row: &AgeRow, y: i64, scale: &Option<Scale>) -> Markup {
    let AgeRow { address, says, tone, life, now, .. } = row;
    html! {
        g {
            title { (address) ": " (says) }
            text .small x=(NAMES - 10) y=(y + 14) text-anchor="end" { (address) }
            @if let (Some((issued, due)), Some(scale)) = (life, scale) {
                (span("ontime", scale.x(*issued), scale.x(*due), y))
                @if now > due { (span("late", scale.x(*due), scale.x(*now), y)) }
            }
            text .small .bad[*tone == Tone::Warn] x=(NAMES + WIDTH + 12) y=(y + 14) { (says) }
        }
    }
}

fn span(class: &str, from: i64, to: i64, y: i64) -> Markup {
    html! { rect class=(class) x=(from) y=(y + 4) width=((to - from).max(2)) height="12" rx="3" {} }
}

fn now(scale: &Scale, height: i64) -> Markup {
    let x = scale.x(scale.now);
    html! {
        line .next x1=(x) y1=(TOP - 8) x2=(x) y2=(height - 6) {}
        text .small x=(x) y="16" text-anchor="middle" { "now" }
    }
}
