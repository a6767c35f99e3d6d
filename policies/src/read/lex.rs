//! Where names stand: chains of identifiers over PostgreSQL's own scanner tokens.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use pg_query::protobuf::{KeywordKind, ScanToken, Token};

use crate::access::Place;
use crate::names::{self, FunctionUse, RelationUse};
use crate::read::BodyName;

/// Between the words of a chain in the index; a name holds no NUL.
const SEPARATOR: &str = "\0";

/// Longest operand of `CAST (… AS type)` in a body that is looked at, in tokens.
const CAST_TOKENS: usize = 200;

/// The tokens of a text, comments left out.
pub(super) struct Tokens<'t> {
    text: &'t str,
    tokens: Vec<ScanToken>,
    /// Where each chain of identifiers starts; made when the first name without a location is looked for.
    chains: OnceCell<HashMap<String, Vec<usize>>>,
}

impl<'t> Tokens<'t> {
    /// Scans a text. A text that the scanner refuses has no tokens: nothing in it can be placed.
    pub(super) fn new(text: &'t str) -> Self {
        // pg_query makes a slice from a null pointer where a text has no token at all.
        let blank = text.trim().is_empty();
        let mut tokens = if blank { Vec::new() } else { pg_query::scan_tokens(text).unwrap_or_default() };
        tokens.retain(|t| t.token != Token::SqlComment as i32 && t.token != Token::CComment as i32);
        join_escapes(&mut tokens);
        Self { text, tokens, chains: OnceCell::new() }
    }

    /// The text with every name by numbers (`U&"…"`) written out, for a reader that does not know them; nothing where
    /// there is none.
    pub(super) fn names_written_out(&self) -> Option<String> {
        let mut out = String::new();
        let mut from = 0;
        for token in self.tokens.iter().filter(|t| t.token == Token::Uident as i32) {
            let range = offset(token.start)..offset(token.end);
            let name = folded(&self.text[range.clone()]).replace('"', "\"\"");
            out.extend([&self.text[from..range.start], "\"", name.as_str(), "\""]);
            from = range.end;
        }
        (from > 0).then(|| out + &self.text[from..])
    }

    /// The index of the first token at or after a byte.
    fn index_from(&self, byte: usize) -> usize {
        self.tokens.partition_point(|t| offset(t.start) < byte)
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        self.tokens.get(index).map(|t| offset(t.start)..offset(t.end))
    }

    fn is_dot(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|t| t.token == Token::Ascii46 as i32)
    }

    fn is_name(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|t| {
            t.token == Token::Ident as i32
                || t.token == Token::Uident as i32
                || t.keyword_kind != KeywordKind::NoKeyword as i32
        })
    }

    /// The chain of `parts` identifiers that starts at a byte, or nothing where the text there is not such a chain.
    fn chain(&self, byte: usize, parts: usize) -> Option<Vec<Range<usize>>> {
        let mut index = self.index_from(byte);
        let mut ranges = Vec::with_capacity(parts);
        if self.tokens.get(index).map(|t| offset(t.start)) != Some(byte) {
            return None;
        }
        loop {
            if !self.is_name(index) {
                return None;
            }
            ranges.push(self.range(index)?);
            if ranges.len() == parts {
                return Some(ranges);
            }
            if !self.is_dot(index + 1) {
                return None;
            }
            index += 2;
        }
    }

    /// The place of a name of `parts` parts (1 to 3) at a byte that the tree gives.
    pub(super) fn place(&self, location: i32, parts: usize) -> Place {
        let Ok(byte) = usize::try_from(location) else { return Place::Unknown };
        match self.chain(byte, parts) {
            Some(ranges) => place_of(ranges),
            None => Place::Unknown,
        }
    }

    /// How a cast at a byte to the type at another is written: nothing for `x::type`, where it begins for
    /// `CAST (x AS type)`.
    pub(super) fn cast_form(&self, cast: i32, type_name: i32) -> Option<Option<usize>> {
        let begin = usize::try_from(cast).ok()?;
        let byte = usize::try_from(type_name).ok()?;
        let before = self.tokens.get(self.index_from(byte).checked_sub(1)?)?;
        if before.token == Token::Typecast as i32 {
            return Some(None);
        }
        let first = self.tokens.get(self.index_from(begin)).filter(|t| offset(t.start) == begin)?;
        (before.token == Token::As as i32 && first.token == Token::Cast as i32).then_some(Some(begin))
    }

    /// The place of a keyword form that starts at a byte.
    pub(super) fn keyword(&self, location: i32) -> Place {
        let Ok(byte) = usize::try_from(location) else { return Place::Unknown };
        match self.range(self.index_from(byte)) {
            Some(range) if range.start == byte => Place::Keyword(range),
            _ => Place::Unknown,
        }
    }

    /// The place of a string constant that starts at a byte.
    pub(super) fn constant(&self, location: i32) -> Place {
        let Ok(byte) = usize::try_from(location) else { return Place::Unknown };
        let index = self.index_from(byte);
        let is_string = self.tokens.get(index).is_some_and(|t| {
            offset(t.start) == byte && (t.token == Token::Sconst as i32 || t.token == Token::Usconst as i32)
        });
        match self.range(index) {
            Some(range) if is_string => Place::Constant(range),
            _ => Place::Unknown,
        }
    }

    /// The place of a name that the tree has without a location: the chain `words`, spelled in any way, must stand
    /// exactly once within `within`.
    pub(super) fn find(&self, within: &Range<usize>, words: &[&str]) -> Place {
        let chains = self.chains.get_or_init(|| self.index());
        let Some(starts) = chains.get(&words.join(SEPARATOR)) else { return Place::Unknown };
        let first = starts.partition_point(|&byte| byte < within.start);
        match &starts[first..] {
            [byte, ..] if *byte >= within.end => Place::Unknown,
            [_, second, ..] if *second < within.end => Place::Unknown,
            [byte, ..] => self.chain(*byte, words.len()).map_or(Place::Unknown, place_of),
            [] => Place::Unknown,
        }
    }

    /// The place of the first such chain, where the grammar has the name before anything that is spelled like it.
    pub(super) fn find_first(&self, within: &Range<usize>, words: &[&str]) -> Place {
        let chains = self.chains.get_or_init(|| self.index());
        let Some(starts) = chains.get(&words.join(SEPARATOR)) else { return Place::Unknown };
        let first = starts.partition_point(|&byte| byte < within.start);
        match starts.get(first) {
            Some(byte) if *byte < within.end => {
                self.chain(*byte, words.len()).map_or(Place::Unknown, place_of)
            }
            _ => Place::Unknown,
        }
    }

    /// Every chain of the text that is no part of a longer one: its folded words, and where it starts.
    fn index(&self) -> HashMap<String, Vec<usize>> {
        let mut chains: HashMap<String, Vec<usize>> = HashMap::new();
        let mut index = 0;
        while let Some(token) = self.tokens.get(index) {
            let start = index;
            let mut words: Vec<String> = Vec::new();
            while self.is_name(index)
                && let Some(range) = self.range(index)
            {
                words.push(folded(&self.text[range]));
                index += 1;
                if !self.is_dot(index) {
                    break;
                }
                index += 1;
            }
            if index == start {
                index += 1;
            } else if !(self.is_dot(index - 1) || start > 0 && self.is_dot(start - 1)) {
                chains.entry(words.join(SEPARATOR)).or_default().push(offset(token.start));
            }
        }
        chains
    }

    /// The place of the chain of `parts` identifiers behind the keyword at a byte: `COLLATE public.x`.
    pub(super) fn after(&self, location: i32, parts: usize) -> Place {
        let next = usize::try_from(location).ok().map(|byte| self.index_from(byte) + 1);
        match next.and_then(|index| self.tokens.get(index)) {
            Some(token) => self.place(token.start, parts),
            None => Place::Unknown,
        }
    }

    /// The places of the schema parts of `OPERATOR(schema.op)` at a byte.
    pub(super) fn operator(&self, location: i32, parts: usize) -> Place {
        let Ok(byte) = usize::try_from(location) else { return Place::Unknown };
        let index = self.index_from(byte);
        let is = |index: usize, token: Token| self.tokens.get(index).is_some_and(|t| t.token == token as i32);
        if !is(index, Token::Operator) || !is(index + 1, Token::Ascii40) {
            return Place::Unknown;
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for part in 0..parts {
            let at = index + 2 + 2 * part;
            let fits =
                if part + 1 == parts { !self.is_name(at) } else { self.is_name(at) && self.is_dot(at + 1) };
            match self.range(at) {
                Some(range) if fits => ranges.push(range),
                _ => return Place::Unknown,
            }
        }
        place_of(ranges)
    }

    /// The end of the constant that starts at a byte, a sign before it included.
    pub(super) fn constant_end(&self, location: i32) -> Option<usize> {
        let index = self.index_from(usize::try_from(location).ok()?);
        let signed = self
            .tokens
            .get(index)
            .is_some_and(|t| t.token == Token::Ascii43 as i32 || t.token == Token::Ascii45 as i32);
        self.range(index + usize::from(signed)).map(|range| range.end)
    }

    /// From the first token to the last within a range, a closing semicolon left out.
    pub(super) fn statement(&self, within: &Range<usize>) -> Option<Range<usize>> {
        let first = self.range(self.index_from(within.start))?;
        let mut last = self.index_from(within.end).checked_sub(1)?;
        if self.tokens.get(last).is_some_and(|t| t.token == Token::Ascii59 as i32) {
            last = last.checked_sub(1)?;
        }
        let last = self.range(last)?;
        (last.end > first.start).then_some(first.start..last.end)
    }

    /// Where the text of a dollar-quoted constant of these bytes begins, within a range.
    pub(super) fn dollar_quoted(&self, within: &Range<usize>, code: &str) -> Option<usize> {
        let mut index = self.index_from(within.start);
        while let Some(range) = self.range(index).filter(|range| range.end <= within.end) {
            let token = &self.text[range.clone()];
            let tag = token.strip_prefix('$').and_then(|rest| rest.find('$')).map(|at| at + 2);
            if let Some(tag) = tag
                && token.get(tag..token.len().saturating_sub(tag)) == Some(code)
            {
                return Some(range.start + tag);
            }
            index += 1;
        }
        None
    }

    /// What a body says that has another name in the database: the tenant's schema, functions that are replaced, the
    /// session's user, catalogs that are read. Names of variables and fields are left alone.
    pub(super) fn replaceable(&self) -> Vec<BodyName> {
        let mut out = Vec::new();
        for index in 0..self.tokens.len() {
            let Some(range) = self.range(index) else { continue };
            let follows = |token: Token| self.tokens.get(index + 1).is_some_and(|t| t.token == token as i32);
            let word = folded(&self.text[range.clone()]);
            let after_dot = index > 0 && self.is_dot(index - 1);
            if self.is_name(index) && !after_dot && word == "public" && self.is_dot(index + 1) {
                out.push(BodyName::Schema(range));
            } else if self.is_name(index) && replaced(&word) && follows(Token::Ascii40) {
                let Some(start) = self.own_start(index) else { continue };
                out.push(BodyName::Function { range: start..range.end, name: word });
            } else if let Some(start) = self.object_type(index, &word) {
                let (end, name) = if self.casts_computed(start, index) {
                    (range.end, names::by_name(&word))
                } else if let Some(end) = self.cast_of_computed(start, index) {
                    (end, format!("{})::palisade.{word}", names::NAMED))
                } else {
                    (range.end, word)
                };
                out.push(BodyName::Function { range: start..end, name });
            } else if let Some(start) = self.object_function(index, &word) {
                out.push(BodyName::Function { range: start..range.end, name: word });
            } else if let Some(found) = self.catalog_read(index, &word) {
                out.push(found);
            } else if !after_dot && matches!(word.as_str(), "current_user" | "session_user" | "current_role")
            {
                let before = index.checked_sub(1).and_then(|i| self.range(i)).map(|r| folded(&self.text[r]));
                // There it is a role, not a value.
                if !before
                    .is_some_and(|b| matches!(b.as_str(), "to" | "from" | "by" | "for" | "authorization"))
                {
                    out.push(BodyName::Function { range, name: format!("{word}()") });
                }
            }
        }
        out
    }

    /// Where a name of PostgreSQL's own begins, its schema included; nothing where it is another's.
    fn own_start(&self, index: usize) -> Option<usize> {
        if index == 0 || !self.is_dot(index - 1) {
            return self.range(index).map(|range| range.start);
        }
        let schema = self.range(index.checked_sub(2)?)?;
        (folded(&self.text[schema.clone()]) == "pg_catalog").then_some(schema.start)
    }

    /// A type whose values are shown as names, where a type can stand: behind `::`, in `CAST (… AS type)`, before a
    /// string, before a parenthesis, and behind the name of a variable that is declared.
    fn object_type(&self, index: usize, word: &str) -> Option<usize> {
        if !self.is_name(index) || !names::is_object_type(word) || self.is_dot(index + 1) {
            return None;
        }
        let start = self.own_start(index)?;
        let first = self.index_from(start);
        let before = first.checked_sub(1);
        let is = |index: usize, tokens: &[Token]| {
            self.tokens.get(index).is_some_and(|t| tokens.iter().any(|token| t.token == *token as i32))
        };
        // A constant that is a name is judged as one.
        let names = |index: Option<usize>| {
            index.and_then(|i| self.range(i)).is_some_and(|range| {
                let constant = self.text[range].trim_matches(['\'', 'E', 'e', ' ']);
                !constant.is_empty() && !constant.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let strings = [Token::Sconst, Token::Usconst];
        let operand =
            before.filter(|at| is(*at, &[Token::Typecast, Token::As])).and_then(|at| at.checked_sub(1));
        let operand = operand.filter(|at| is(*at, &strings) && !is(index + 1, &[Token::Ascii91]));
        if names(operand) || is(index + 1, &strings) && names(Some(index + 1)) {
            return None;
        }
        let declared =
            [Token::Ascii59, Token::ColonEquals, Token::Ascii61, Token::Default, Token::Not, Token::Ascii91];
        let stands = before.is_some_and(|before| {
            is(before, &[Token::Typecast])
                || is(before, &[Token::As]) && is(index + 1, &[Token::Ascii41, Token::Ascii91])
                || self.is_name(before) && !is(before, &[Token::As]) && is(index + 1, &declared)
        });
        (stands || is(index + 1, &[Token::Sconst, Token::Usconst, Token::Ascii40])).then_some(start)
    }

    /// Whether the type at `index`, which begins at byte `start`, stands behind `::` and what is cast is no constant.
    fn casts_computed(&self, start: usize, index: usize) -> bool {
        let kind = |at: Option<usize>| at.and_then(|at| self.tokens.get(at)).map(|t| t.token);
        let cast = self.index_from(start).checked_sub(1);
        let constants = [Token::Sconst, Token::Usconst, Token::Iconst, Token::NullP].map(|t| Some(t as i32));
        kind(cast) == Some(Token::Typecast as i32)
            && !constants.contains(&kind(cast.and_then(|at| at.checked_sub(1))))
            && kind(Some(index + 1)) != Some(Token::Ascii91 as i32)
    }

    /// Where `CAST (… AS type)` ends, for the type at `index`, which begins at byte `start`, where what is cast is no
    /// constant. Behind FROM no other form of it can stand.
    fn cast_of_computed(&self, start: usize, index: usize) -> Option<usize> {
        let kind = |at: usize| self.tokens.get(at).map(|t| t.token);
        let is = |at: usize, token: Token| kind(at) == Some(token as i32);
        let end = self.range(index + 1).filter(|_| is(index + 1, Token::Ascii41))?.end;
        let as_word = self.index_from(start).checked_sub(1).filter(|at| is(*at, Token::As))?;
        let mut closed = 0_usize;
        let open = (as_word.saturating_sub(CAST_TOKENS)..as_word).rev().find(|&at| {
            match kind(at) {
                Some(token) if token == Token::Ascii41 as i32 => closed += 1,
                Some(token) if token == Token::Ascii40 as i32 && closed == 0 => return true,
                Some(token) if token == Token::Ascii40 as i32 => closed -= 1,
                _ => {}
            }
            false
        })?;
        let constants = [Token::Sconst, Token::Usconst, Token::Iconst, Token::NullP].map(|t| Some(t as i32));
        let constant = open + 2 == as_word && constants.contains(&kind(open + 1));
        let word = open.checked_sub(1).filter(|at| is(*at, Token::Cast) && !constant)?;
        let behind_from = word.checked_sub(1).is_some_and(|at| is(at, Token::From) || is(at, Token::Join));
        (!behind_from).then_some(end)
    }

    /// A call of a function that takes an object by name or number, with something else than a string constant first.
    fn object_function(&self, index: usize, word: &str) -> Option<usize> {
        let token = |at: usize| self.tokens.get(at).map(|t| t.token);
        let constant = [Some(Token::Sconst as i32), Some(Token::Usconst as i32)].contains(&token(index + 2));
        let called = self.is_name(index)
            && names::takes_object(word)
            && token(index + 1) == Some(Token::Ascii40 as i32);
        if called && !constant { self.own_start(index) } else { None }
    }

    /// A catalog with a filtered view that stands where rows are read from: behind FROM, JOIN, a comma or ONLY,
    /// alone or behind its schema.
    fn catalog_read(&self, index: usize, word: &str) -> Option<BodyName> {
        let first = if index > 1 && self.is_dot(index - 1) { index - 2 } else { index };
        if !self.is_name(index) || first > 1 && self.is_dot(first - 1) || self.is_dot(index + 1) {
            return None;
        }
        let before = folded(&self.text[self.range(first.checked_sub(1)?)?]);
        if !matches!(before.as_str(), "from" | "join" | "," | "only") {
            return None;
        }
        let schema =
            if first == index { "pg_catalog".to_owned() } else { folded(&self.text[self.range(first)?]) };
        let view = match (schema.as_str(), names::relation(&schema, word)) {
            ("pg_catalog", RelationUse::View) => "palisade",
            ("information_schema", RelationUse::View) => "palisade_info",
            _ => return None,
        };
        let start = self.range(first)?.start;
        Some(BodyName::Catalog { range: start..self.range(index)?.end, view: format!("{view}.{word}") })
    }

    /// The text, comments included.
    pub(super) fn whole(&self) -> &'t str {
        self.text
    }

    /// The text of a range.
    pub(super) fn text(&self, range: Range<usize>) -> &'t str {
        &self.text[range]
    }
}

/// Whether a function of PostgreSQL has a replacement in schema `palisade`.
fn replaced(name: &str) -> bool {
    names::namespaced(name) || names::function(name) == FunctionUse::Replaced
}

fn offset(byte: i32) -> usize {
    usize::try_from(byte).unwrap_or_default()
}

fn place_of(mut ranges: Vec<Range<usize>>) -> Place {
    let Some(name) = ranges.pop() else { return Place::Unknown };
    Place::Identifiers { schema: ranges.pop(), database: ranges.pop(), name }
}

/// Makes one token of a name or string by numbers and the `UESCAPE` behind it.
fn join_escapes(tokens: &mut Vec<ScanToken>) {
    let by_numbers = |t: &ScanToken| t.token == Token::Uident as i32 || t.token == Token::Usconst as i32;
    if !tokens.iter().any(by_numbers) {
        return;
    }
    let mut index = 0;
    while index + 2 < tokens.len() {
        let [first, escape, string] = [&tokens[index], &tokens[index + 1], &tokens[index + 2]];
        if by_numbers(first) && escape.token == Token::Uescape as i32 && string.token == Token::Sconst as i32
        {
            tokens[index].end = string.end;
            tokens.drain(index + 1..index + 3);
        }
        index += 1;
    }
}

/// An identifier as PostgreSQL reads it: quotes taken off, numbers read, or ASCII letters folded, cut to 63 bytes.
pub(super) fn folded(spelling: &str) -> String {
    let mut name = match spelling.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        // What cannot be read is no name: then it matches nothing.
        None => by_numbers(spelling, '"').unwrap_or_else(|| spelling.to_ascii_lowercase()),
    };
    truncate(&mut name);
    name
}

/// What `U&"…"` or `U&'…'` says, by its quote, with the `UESCAPE` behind it; nothing where it is none or PostgreSQL
/// refuses it.
pub(super) fn by_numbers(spelling: &str, quote: char) -> Option<String> {
    let rest = spelling.strip_prefix(['u', 'U'])?.strip_prefix('&')?.strip_prefix(quote)?;
    let (body, behind) = quoted_part(rest, quote)?;
    // PostgreSQL wants one character in a string there. One that is not plainly written is not read here.
    let escape = match behind.trim_end().strip_suffix('\'') {
        None => '\\',
        Some(before) => {
            let escape = before.chars().next_back()?;
            before.strip_suffix(escape)?.strip_suffix('\'').filter(|before| !before.ends_with(['e', 'E']))?;
            escape
        }
    };
    let mut out = String::with_capacity(body.len());
    let mut rest = body.as_str();
    while let Some(at) = rest.find(escape) {
        out.push_str(&rest[..at]);
        let (c, after) = escaped(&rest[at + escape.len_utf8()..], escape)?;
        out.push(c);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// What a string constant says, as far as it is written plainly: nothing for one with backslashes, or one that goes on in
/// another line.
pub(crate) fn string_value(spelling: &str) -> Option<String> {
    if let Some(behind) = spelling.strip_prefix('$') {
        let tag = &spelling[..behind.find('$')? + 2];
        return spelling.strip_prefix(tag)?.strip_suffix(tag).map(str::to_owned);
    }
    if spelling.starts_with(['u', 'U']) {
        return by_numbers(spelling, '\'');
    }
    let escapes = spelling.strip_prefix(['e', 'E']).filter(|rest| !rest.contains('\\'));
    let (value, behind) = quoted_part(escapes.unwrap_or(spelling).strip_prefix('\'')?, '\'')?;
    behind.is_empty().then_some(value)
}

/// The character behind an escape character, and what follows.
fn escaped(text: &str, escape: char) -> Option<(char, &str)> {
    if let Some(rest) = text.strip_prefix(escape) {
        return Some((escape, rest));
    }
    let (first, rest) = number(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).filter(|&c| c != '\0')?, rest));
    }
    let (second, rest) = number(rest.strip_prefix(escape)?)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?, rest))
}

/// Four hexadecimal digits, or `+` and six.
fn number(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = match text.strip_prefix('+') {
        Some(long) => (long.get(..6)?, long.get(6..)?),
        None => (text.get(..4)?, text.get(4..)?),
    };
    let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?, rest))
}

/// Cuts a name to the bytes that PostgreSQL keeps.
pub(super) fn truncate(name: &mut String) {
    name.truncate(kept(name));
}

/// How many bytes of a name PostgreSQL keeps: 63, never inside a character.
pub(super) fn kept(name: &str) -> usize {
    const NAME_BYTES: usize = 63;
    if name.len() <= NAME_BYTES {
        return name.len();
    }
    (0..=NAME_BYTES).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0)
}

/// Takes a name in a string constant apart as PostgreSQL's `stringToQualifiedNameList` does: parts between dots,
/// unquoted ones folded. Nothing where PostgreSQL would refuse it.
pub(super) fn qualified(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    loop {
        let (mut part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_part(quoted, '"')?
        } else {
            let end = rest.find(|c: char| c == '.' || is_space(c)).unwrap_or(rest.len());
            (rest[..end].to_ascii_lowercase(), &rest[end..])
        };
        if part.is_empty() {
            return None;
        }
        truncate(&mut part);
        parts.push(part);
        rest = after.trim_start_matches(is_space);
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start_matches(is_space),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// What stands before the closing quote, and what behind it.
fn quoted_part(text: &str, quote: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            part.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            chars.next();
            part.push(quote);
        } else {
            return Some((part, &text[at + 1..]));
        }
    }
    None
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_placed_whatever_their_spelling() {
        let text = "SELECT * FROM \"Pub\" /* x */ . \n u -- c\n, a.b.c";
        let tokens = Tokens::new(text);
        let Place::Identifiers { database: None, schema: Some(schema), name } = tokens.place(14, 2) else {
            panic!("no place")
        };
        assert_eq!((&text[schema], &text[name]), ("\"Pub\"", "u"));
        let Place::Identifiers { database: Some(_), schema: Some(_), name } =
            tokens.find(&(0..text.len()), &["a", "b", "c"])
        else {
            panic!("not found")
        };
        assert_eq!(&text[name], "c");
    }

    #[test]
    fn a_name_that_stands_twice_has_no_place() {
        let text = "DROP TABLE a, a";
        assert_eq!(Tokens::new(text).find(&(0..text.len()), &["a"]), Place::Unknown);
    }

    #[test]
    fn qualified_names_in_constants_follow_the_table() {
        for (text, want) in [
            ("Users", Some(vec!["users"])),
            ("public.\"Us.er\"\"s\"", Some(vec!["public", "Us.er\"s"])),
            (" a . b ", Some(vec!["a", "b"])),
            ("a b", None),
            ("", None),
            ("a.", None),
            ("\"a", None),
        ] {
            let want = want.map(|w| w.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(qualified(text), want, "{text}");
        }
    }
}
