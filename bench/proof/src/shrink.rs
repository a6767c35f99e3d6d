//! The smallest text that still leaks: parts are taken out as long as what is left leaks.

/// Most tries of one text.
const TRIES: usize = 300;

/// Takes words out of a text while `leaks` says that it still does.
pub(crate) fn shrink(text: &str, mut leaks: impl FnMut(&str) -> bool) -> String {
    let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let mut size = (words.len() / 2).max(1);
    let mut tries = 0;
    while size > 0 && tries < TRIES {
        let mut at = 0;
        while at < words.len() && tries < TRIES {
            let end = (at + size).min(words.len());
            let fewer: Vec<String> = words[..at].iter().chain(&words[end..]).cloned().collect();
            tries += 1;
            if !fewer.is_empty() && leaks(&fewer.concat()) {
                words = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    words.concat().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_does_not_matter_goes() {
        let text = "/* x */ SELECT 1; SELECT * FROM a JOIN secret ON true WHERE a.b = 3 -- end";
        assert_eq!(shrink(text, |t| t.contains("secret")), "secret");
        assert_eq!(shrink(text, |t| t.contains("SELECT *") && t.contains("secret")), "SELECT * secret");
        assert_eq!(shrink(text, |_| false), text);
    }
}
