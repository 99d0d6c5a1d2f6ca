//! The order of steps as a picture: a column for each owner, time runs down.
//!
//! Steps beside each other may run at the same time. A grey arrow is the order within an owner, a
//! blue one is an ordering rule, with its name.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::report::graph::{self, Edge};
use crate::report::rows::{Rows, StepRow};

/// More steps than this make a wall, not a picture.
const MOST: usize = 80;

const WIDTH: usize = 240;
const BOX_HEIGHT: usize = 46;
const ROW: usize = 84;
const MARGIN: usize = 14;
/// Space in a column beside its boxes: where arrows come from other columns, go around boxes, or do neither.
const ASIDE: usize = 120;
const PASSED: usize = 60;
const NARROW: usize = 20;
/// A letter of a column's head.
const LETTER: usize = 7;
const TOP: usize = 46;

/// The picture, or a word on why there is none.
pub fn order(rows: &Rows<'_>) -> Markup {
    let n = rows.steps().len();
    if n > MOST {
        return html! { p.dim { "Not drawn: " (n) " steps are too many for a picture. `--format dot` has the graph." } };
    }
    let steps: Vec<StepRow> = rows.steps().collect();
    let scene = Scene::of(&steps);
    let (width, height) = scene.size();
    html! {
        p.dim {
            "Time runs down. Steps beside each other may run at the same time; a grey arrow is the order within \
             one owner, a blue one is a rule. A red box can't be undone."
        }
        div.wide {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
                style={ "min-width:" (width * 7 / 10) "px" } role="img" aria-label="The steps of the plan, in the order in which they run" {
                (heads())
                @for ((lane, _), column) in scene.lanes.iter().zip(&scene.columns) { (self::lane(lane, column, height)) }
                @for edge in &scene.edges { (scene.arrow(edge)) }
                @for (_, steps) in &scene.lanes { @for row in steps { (scene.step(row)) } }
            }
        }
    }
}

struct Scene<'a> {
    lanes: Vec<(&'a str, Vec<&'a StepRow>)>,
    edges: Vec<Edge>,
    /// Step number → column and row.
    places: BTreeMap<usize, (usize, usize)>,
    columns: Vec<Column>,
}

struct Column {
    left: usize,
    width: usize,
}

impl<'a> Scene<'a> {
    fn of(rows: &'a [StepRow]) -> Self {
        let (lanes, edges) = (graph::lanes(rows), graph::edges(rows));
        let mut places: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let column = |row: &StepRow| lanes.iter().position(|(lane, _)| *lane == row.lane).unwrap_or(0);
        // Steps stand in execution order, so whatever comes before a step has its place already.
        for row in rows {
            let before = edges.iter().filter(|edge| edge.to == row.number);
            let after = before.filter_map(|edge| places.get(&edge.from)).map(|(_, slot)| slot + 1).max();
            places.insert(row.number, (column(row), after.unwrap_or(0)));
        }
        let columns = columns(lanes.len(), &edges, &places);
        Self { lanes, edges, places, columns }
    }

    fn size(&self) -> (usize, usize) {
        let rows = self.places.values().map(|(_, row)| row + 1).max().unwrap_or(0);
        (self.columns.last().map_or(0, |last| last.left + last.width), TOP + rows * ROW)
    }

    /// The left upper corner of a step's box.
    fn corner(&self, number: usize) -> (usize, usize) {
        let (column, row) = self.places.get(&number).copied().unwrap_or_default();
        (self.columns.get(column).map_or(0, |column| column.left) + MARGIN, TOP + row * ROW)
    }

    fn step(&self, row: &StepRow) -> Markup {
        let (x, y) = self.corner(row.number);
        html! {
            g {
                title { (row.number) ". " (graph::title(row)) " " (row.address) " (" (row.undo) ")" }
                rect .box .irreversible[row.irreversible] x=(x) y=(y) width=(WIDTH - 2 * MARGIN) height=(BOX_HEIGHT) rx="7" {}
                circle .disc cx=(x + 21) cy=(y + BOX_HEIGHT / 2) r="13" {}
                text .disc-text x=(x + 21) y=(y + BOX_HEIGHT / 2 + 5) { (row.number) }
                text x=(x + 42) y=(y + 19) { (graph::title(row)) }
                text .small x=(x + 42) y=(y + 37) { (short(&graph::name(row), 29)) }
            }
        }
    }

    fn arrow(&self, edge: &Edge) -> Markup {
        let (from, to) = (self.places.get(&edge.from), self.places.get(&edge.to));
        let (Some(from), Some(to)) = (from, to) else { return html! {} };
        let next = from.0 == to.0 && to.1 == from.1 + 1;
        let (a, b) = (self.corner(edge.from), self.corner(edge.to));
        let half = (WIDTH - 2 * MARGIN) / 2;
        let (path, label) = match next {
            // straight down to the neighbour
            true => (
                format!("M{} {} V{}", a.0 + half, a.1 + BOX_HEIGHT, b.1 - 8),
                (a.0 + half + 8, a.1 + BOX_HEIGHT + (ROW - BOX_HEIGHT) / 2 + 3),
            ),
            // around the boxes between, on the right
            false if from.0 == to.0 => {
                let (right, span) = (a.0 + 2 * half, to.1.saturating_sub(from.1));
                let out = right + (10 * span).min(PASSED - 10);
                let (start, end) = (a.1 + BOX_HEIGHT / 2, b.1 + BOX_HEIGHT / 2 - 10);
                (
                    format!("M{right} {start} C{out} {start} {out} {end} {} {end}", right + 8),
                    (right + 14, start + ROW / 2),
                )
            }
            // to another owner's column
            false => {
                let (right, down) = (b.0 > a.0, b.1 + BOX_HEIGHT / 2);
                let start = if right { a.0 + 2 * half } else { a.0 };
                let end = if right { b.0 - 8 } else { b.0 + 2 * half + 8 };
                let middle = usize::midpoint(start, end);
                let y = a.1 + BOX_HEIGHT / 2;
                (
                    format!("M{start} {y} C{middle} {y} {middle} {down} {end} {down}"),
                    (middle, usize::midpoint(y, down)),
                )
            }
        };
        let (line, head) = if edge.rule.is_some() { ("rule", "rule-head") } else { ("next", "next-head") };
        html! {
            path .(line) d=(path) marker-end={ "url(#" (head) ")" } {
                title { (edge.from) " before " (edge.to) @if let Some(rule) = edge.rule { ": " (rule) } }
            }
            @if let Some(rule) = edge.rule.filter(|rule| self.named(edge, rule)) {
                text .rule-name x=(label.0) y=(label.1) { (rule) }
            }
        }
    }

    /// A rule's name stands once for each bundle of arrows: at the last that a step waits for, and there at
    /// the first that waits.
    fn named(&self, edge: &Edge, rule: &str) -> bool {
        let of_rule = || self.edges.iter().filter(|other| other.rule == Some(rule));
        let last = of_rule().filter(|other| other.to == edge.to).map(|other| other.from).max();
        let first = of_rule().filter(|other| other.from == edge.from).map(|other| other.to).min();
        last == Some(edge.from) && first == Some(edge.to)
    }
}

/// Columns are wide where arrows go around boxes, and all of them where arrows go from one to another.
fn columns(count: usize, edges: &[Edge], places: &BTreeMap<usize, (usize, usize)>) -> Vec<Column> {
    let ends = edges.iter().filter_map(|edge| Some((places.get(&edge.from)?, places.get(&edge.to)?)));
    let ends: Vec<_> = ends.collect();
    let crossed = ends.iter().any(|(from, to)| from.0 != to.0);
    let passed = |column: usize| ends.iter().any(|(from, to)| from.0 == column && to.1 > from.1 + 1);
    let mut left = 0;
    let column = |column| {
        let width = WIDTH
            + match (crossed, passed(column)) {
                (true, _) => ASIDE,
                (false, true) => PASSED,
                (false, false) => NARROW,
            };
        left += width;
        Column { left: left - width, width }
    };
    (0..count).map(column).collect()
}

fn lane(lane: &str, column: &Column, height: usize) -> Markup {
    let Column { left, width } = column;
    let most = (width - 2 * MARGIN - 10) / LETTER;
    html! {
        rect .lane x=(left) y="0" width=(width - 10) height=(height) rx="8" {}
        text x=(left + MARGIN) y="26" { (short(lane, most)) title { (lane) } }
    }
}

/// The heads of the arrows.
fn heads() -> Markup {
    let head = |id: &str, class: &str| {
        html! {
            marker id=(id) viewBox="0 0 10 10" refX="2" refY="5" markerWidth="6" markerHeight="6" orient="auto" {
                path .(class) d="M0 0 L10 5 L0 10 z" {}
            }
        }
    };
    html! { defs { (head("rule-head", "head")) (head("next-head", "head-next")) } }
}

/// A text that fits; its end gives way.
fn short(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
