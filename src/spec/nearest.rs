//! "Did you mean": the known word that is nearest to a wrong one.

/// With more candidates than this a guess costs more than it helps.
const MOST: usize = 500;

/// How alike two words must be, from 0 to 1.
const ALIKE: f32 = 0.6;

/// The nearest candidate, if one is near.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if candidates.len() > MOST || word.len() > 200 {
        return None;
    }
    let same = |candidate: &&&str| folded(candidate) == folded(word);
    let near = || similar::get_close_matches(word, candidates, 1, ALIKE).into_iter().next();
    candidates.iter().find(same).copied().or_else(near)
}

/// Help for a wrong word: the nearest one, or all when they are few.
pub fn suggestion(word: &str, candidates: &[&str]) -> Option<String> {
    if let Some(near) = nearest(word, candidates) {
        return Some(format!("did you mean `{near}`?"));
    }
    let few = !candidates.is_empty() && candidates.len() <= 20;
    few.then(|| format!("known are: {}", candidates.join(", ")))
}

/// Without case and the two marks that people mix up.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let keys = ["service", "region", "external_api_auth", "other_teams"];
        assert_eq!(nearest("serivce", &keys), Some("service"));
        assert_eq!(nearest("externalApiAuth", &keys), Some("external_api_auth"));
        assert_eq!(nearest("zzz", &keys), None);
        let help = suggestion("zzz", &keys[..2]).unwrap();
        assert_eq!(help, "known are: service, region");
    }
}
