//! How a stream is written to: with colour or without, in Unicode or in plain ASCII.

use anstyle::AnsiColor;

use crate::env::Env;
use crate::model::change::Action;

/// What `--color` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colour on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    Always,
    Never,
}

/// What a stream can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
}

/// What a piece of text means; the colour follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something comes into being, or holds.
    Good,
    /// Something changes.
    Change,
    /// Something goes away, or is wrong.
    Bad,
    /// Worth a look.
    Warn,
    /// Talk around the matter.
    Dim,
    Bold,
}

impl Style {
    /// No colour, plain ASCII.
    pub const PLAIN: Self = Self { color: false, unicode: false };

    /// No colour, every picture: what a document shows.
    pub const UNICODE: Self = Self { color: false, unicode: true };

    /// What the stream can show, by `--color`, `NO_COLOR`, `TERM` and the locale.
    pub fn detect(choice: ColorChoice, stream_is_terminal: bool, env: &Env) -> Self {
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stream_is_terminal && var(env, "NO_COLOR").is_none() && !is_dumb(env),
        };
        Self { color, unicode: speaks_unicode(env) }
    }

    /// The text in the colour of its tone, or as it is.
    pub fn paint(&self, tone: Tone, text: impl std::fmt::Display) -> String {
        if !self.color {
            return text.to_string();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// The symbol that stands before a change.
    pub fn symbol(&self, action: Action) -> &'static str {
        let (picture, ascii) = match action {
            Action::Create => ("+", "+"),
            Action::Rotate => ("↻", "@"),
            Action::Invalidate => ("x", "x"),
            Action::Deliver => (">", ">"),
            Action::Enable | Action::Disable => ("~", "~"),
            Action::Lock => ("⦸", "!"),
            Action::Unlock => ("↺", "<"),
            Action::Delete => ("-", "-"),
            Action::Protect | Action::Unprotect => ("=", "="),
        };
        self.pick(picture, ascii)
    }

    /// The symbol of an action in its colour.
    pub fn mark(&self, action: Action) -> String {
        self.paint(Tone::of(action), self.symbol(action))
    }

    /// The first where Unicode can be shown, else the second.
    pub fn pick<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }
}

impl Tone {
    pub fn of(action: Action) -> Self {
        match action {
            Action::Create | Action::Deliver | Action::Enable => Self::Good,
            Action::Rotate | Action::Disable | Action::Lock | Action::Unlock => Self::Change,
            Action::Protect | Action::Unprotect => Self::Change,
            Action::Invalidate | Action::Delete => Self::Bad,
        }
    }

    fn style(self) -> anstyle::Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Change => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default().bold(),
            Self::Dim => anstyle::Style::new().dimmed(),
            Self::Bold => anstyle::Style::new().bold(),
        }
    }
}

/// A variable that is set and not empty.
fn var(env: &Env, name: &str) -> Option<String> {
    env.vars.get(name).filter(|value| !value.is_empty())
}

fn is_dumb(env: &Env) -> bool {
    var(env, "TERM").is_some_and(|term| term == "dumb")
}

/// Whether the locale's character set is UTF-8 (the first set of `LC_ALL`, `LC_CTYPE`, `LANG`
/// decides) and the terminal has the pictures; the Linux console has not.
fn speaks_unicode(env: &Env) -> bool {
    let able = !is_dumb(env) && var(env, "TERM").is_none_or(|term| term != "linux");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| var(env, name));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    able && (locale.contains("utf-8") || locale.contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Vars;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Env { vars: Vars::only(vars), ..Env::system() }
    }

    fn color(choice: ColorChoice, terminal: bool, vars: &[(&str, &str)]) -> bool {
        Style::detect(choice, terminal, &env(vars)).color
    }

    #[test]
    fn colour_follows_the_flag_then_the_variables_then_the_stream() {
        assert!(color(ColorChoice::Auto, true, &[]));
        assert!(color(ColorChoice::Auto, true, &[("NO_COLOR", "")]));
        assert!(!color(ColorChoice::Auto, false, &[]));
        assert!(!color(ColorChoice::Auto, true, &[("NO_COLOR", "1")]));
        assert!(!color(ColorChoice::Auto, true, &[("TERM", "dumb")]));
        assert!(color(ColorChoice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!color(ColorChoice::Never, true, &[]));
    }

    #[test]
    fn unicode_needs_a_utf8_locale_and_a_terminal_that_can() {
        let unicode = |vars: &[_]| Style::detect(ColorChoice::Never, true, &env(vars)).unicode;
        assert!(unicode(&[("LANG", "en_US.UTF-8")]));
        assert!(unicode(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!unicode(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!unicode(&[("LANG", "en_US.UTF-8"), ("TERM", "dumb")]));
        assert!(!unicode(&[("LANG", "en_US.UTF-8"), ("TERM", "linux")]));
        assert!(!unicode(&[]));
    }

    #[test]
    fn ascii_symbols_are_ascii_and_tell_actions_apart_as_well() {
        let fancy = Style { color: false, unicode: true };
        for a in Action::ALL {
            assert!(Style::PLAIN.symbol(a).is_ascii());
            for b in Action::ALL {
                let same = |style: Style| style.symbol(a) == style.symbol(b);
                assert_eq!(same(fancy), same(Style::PLAIN), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn paint_without_colour_adds_nothing() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
        assert_eq!(Style { color: true, ..Style::PLAIN }.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
