//! The step graph for other tools: Graphviz DOT and Mermaid.
//!
//! One node per step, numbered in execution order, grouped by the owner whose steps run one after the
//! other; one arrow per rule, from the step that comes first. A dotted arrow is that order within an
//! owner alone.

use std::fmt::Write;

use super::rows::{Rows, StepRow};

/// The graph in Graphviz's language.
pub fn dot(rows: &Rows<'_>) -> String {
    let mut text = "digraph plan {\n  rankdir=LR\n  node [shape=box fontname=\"sans-serif\"]\n".to_owned();
    text.push_str("  edge [fontname=\"sans-serif\" fontsize=10]\n");
    let steps: Vec<StepRow> = rows.steps().collect();
    for (i, (lane, steps)) in lanes(&steps).into_iter().enumerate() {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  subgraph cluster_{i} {{\n    label={}", quoted(lane));
        for row in steps {
            let colour = if row.irreversible { " color=red" } else { "" };
            let label = quoted(&label(row).join("\n"));
            let _ = writeln!(text, "    s{} [label={label}{colour}]", row.number);
        }
        text.push_str("  }\n");
    }
    for edge in edges(&steps) {
        let look = match edge.rule {
            Some(rule) => format!("label={}", quoted(rule)),
            None => "style=dotted arrowhead=open".to_owned(),
        };
        let _ = writeln!(text, "  s{} -> s{} [{look}]", edge.from, edge.to);
    }
    text + "}\n"
}

/// The graph in Mermaid's language, which GitHub and GitLab draw inside Markdown.
pub fn mermaid(rows: &Rows<'_>) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let steps: Vec<StepRow> = rows.steps().collect();
    for (i, (lane, steps)) in lanes(&steps).into_iter().enumerate() {
        let _ = writeln!(text, "  subgraph lane{i}[\"{}\"]", entities(lane));
        for row in steps {
            let label: Vec<_> = label(row).iter().map(|line| entities(line)).collect();
            let label = label.join("<br/>");
            let class = if row.irreversible { ":::irreversible" } else { "" };
            let _ = writeln!(text, "    s{}[\"{label}\"]{class}", row.number);
        }
        text.push_str("  end\n");
    }
    for edge in edges(&steps) {
        let arrow = edge.rule.map_or_else(|| "-.->".to_owned(), |rule| format!("-- {rule} -->"));
        let _ = writeln!(text, "  s{} {arrow} s{}", edge.from, edge.to);
    }
    text + "  classDef irreversible stroke:#c00,stroke-width:2px\n"
}

/// An arrow of the graph; `rule` is absent for the order within an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub rule: Option<&'static str>,
}

/// Every rule's arrow, and the order within an owner where no rule has one already.
pub fn edges(rows: &[StepRow]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (_, steps) in lanes(rows) {
        for pair in steps.windows(2) {
            let (from, to) = (pair[0].number, pair[1].number);
            if !pair[1].needs.iter().any(|need| need.number == from) {
                edges.push(Edge { from, to, rule: None });
            }
        }
    }
    for row in rows {
        edges.extend(row.needs.iter().map(|n| Edge { from: n.number, to: row.number, rule: Some(n.rule) }));
    }
    edges
}

/// The owners in the order of their first step, each with its steps.
pub fn lanes(rows: &[StepRow]) -> Vec<(&str, Vec<&StepRow>)> {
    let mut lanes: Vec<(&str, Vec<&StepRow>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for row in rows {
        let place = *places.entry(row.lane.as_str()).or_insert(lanes.len());
        if place == lanes.len() {
            lanes.push((row.lane.as_str(), Vec::new()));
        }
        lanes[place].1.push(row);
    }
    lanes
}

/// `reset (single-slot)`
pub fn title(row: &StepRow) -> String {
    row.shape.map_or_else(|| row.verb.to_string(), |shape| format!("{} ({shape})", row.verb))
}

/// The object's name within its owner: `team["SRE"]`; the owner's own step has none.
pub fn name(row: &StepRow) -> String {
    let rest = row.address.strip_prefix(row.lane.as_str()).unwrap_or(&row.address);
    rest.trim_start_matches('.').to_owned()
}

/// What stands in a node, line by line.
fn label(row: &StepRow) -> Vec<String> {
    let lines = [format!("{}. {}", row.number, title(row)), name(row)];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn quoted(text: &str) -> String {
    // A backslash would begin one of DOT's escapes.
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Mermaid's own entities: `#` and the character's number.
fn entities(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || " ._-/()".contains(c) => safe.push(c),
            c => safe.push_str(&format!("#{};", u32::from(c))),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn dot_has_a_node_per_step_and_an_arrow_per_rule() {
        snapbox::assert_data_eq!(
            dot(&Rows::of(&sample::everything(), "")),
            snapbox::IntoData::raw(snapbox::str![[r#"
digraph plan {
  rankdir=LR
  node [shape=box fontname="sans-serif"]
  edge [fontname="sans-serif" fontsize=10]
  subgraph cluster_0 {
    label="ibm.prod.mon-prod"
    s1 [label="1. reset (invalidate)\nteam[\"Monitor Operations\"]" color=red]
    s2 [label="2. reset (invalidate)\nteam[\"Web\"]" color=red]
    s8 [label="8. lock"]
  }
  subgraph cluster_1 {
    label="ibm.prod.mon-dev"
    s3 [label="3. reset (single-slot)\nteam[\"SRE\"]" color=red]
    s10 [label="10. deliver\nteam[\"Infra\"]"]
  }
  subgraph cluster_2 {
    label="logicmonitor.acme.svc-ci"
    s4 [label="4. issue (overlap)\napi_token[\"ci-deploy\"]"]
    s5 [label="5. enable\napi_token[\"ci-old\"]"]
    s6 [label="6. disable\napi_token[\"ci-spare\"]"]
    s7 [label="7. delete\napi_token[\"ci-spare\"]" color=red]
  }
  subgraph cluster_3 {
    label="ibm.prod.mon-old"
    s9 [label="9. unlock"]
  }
  s1 -> s2 [style=dotted arrowhead=open]
  s3 -> s10 [style=dotted arrowhead=open]
  s4 -> s5 [style=dotted arrowhead=open]
  s5 -> s6 [style=dotted arrowhead=open]
  s6 -> s7 [label="disable-before-delete"]
  s1 -> s8 [label="reset-before-lock"]
  s2 -> s8 [label="reset-before-lock"]
  s3 -> s8 [label="caller-last"]
}

"#]])
        );
    }

    #[test]
    fn mermaid_draws_the_same_graph() {
        snapbox::assert_data_eq!(
            mermaid(&Rows::of(&sample::everything(), "")),
            snapbox::IntoData::raw(snapbox::str![[r#"
flowchart LR
  subgraph lane0["ibm.prod.mon-prod"]
    s1["1. reset (invalidate)<br/>team#91;#34;Monitor Operations#34;#93;"]:::irreversible
    s2["2. reset (invalidate)<br/>team#91;#34;Web#34;#93;"]:::irreversible
    s8["8. lock"]
  end
  subgraph lane1["ibm.prod.mon-dev"]
    s3["3. reset (single-slot)<br/>team#91;#34;SRE#34;#93;"]:::irreversible
    s10["10. deliver<br/>team#91;#34;Infra#34;#93;"]
  end
  subgraph lane2["logicmonitor.acme.svc-ci"]
    s4["4. issue (overlap)<br/>api_token#91;#34;ci-deploy#34;#93;"]
    s5["5. enable<br/>api_token#91;#34;ci-old#34;#93;"]
    s6["6. disable<br/>api_token#91;#34;ci-spare#34;#93;"]
    s7["7. delete<br/>api_token#91;#34;ci-spare#34;#93;"]:::irreversible
  end
  subgraph lane3["ibm.prod.mon-old"]
    s9["9. unlock"]
  end
  s1 -.-> s2
  s3 -.-> s10
  s4 -.-> s5
  s5 -.-> s6
  s6 -- disable-before-delete --> s7
  s1 -- reset-before-lock --> s8
  s2 -- reset-before-lock --> s8
  s3 -- caller-last --> s8
  classDef irreversible stroke:#c00,stroke-width:2px

"#]])
        );
    }

    #[test]
    fn names_cannot_add_nodes() {
        let mut plan = sample::everything();
        for step in &mut plan.steps {
            step.address = sample::team("m\"]\n s99[x", "a\\\"] -> s98 <b> `;");
        }
        let rows = Rows::of(&plan, "");
        let steps: Vec<StepRow> = rows.steps().collect();
        assert_eq!(dot(&rows).lines().count(), {
            let lanes = lanes(&steps).len();
            4 + 3 * lanes + steps.len() + edges(&steps).len() + 1
        });
        assert!(!mermaid(&rows).contains("<b>") && !mermaid(&rows).contains("s99[x"));
    }
}
