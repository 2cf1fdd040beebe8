//! Tokens of a query.

use std::collections::VecDeque;

/// What is not in the supported part of the language, or not in the tables.
pub(crate) type Result<T> = std::result::Result<T, Unsupported>;
pub(crate) type Unsupported = String;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, a keyword or an operator such as `!has`.
    Word(String),
    Text(String),
    Number(f64),
    /// A duration in seconds: `5m`.
    Span(i64),
}

#[derive(Debug)]
pub(super) struct Tokens(VecDeque<Token>);

impl Tokens {
    pub(super) fn of(query: &str) -> Result<Self> {
        let mut tokens = VecDeque::new();
        let mut rest = query.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                quote @ ('"' | '\'') => {
                    let end = rest[1..].find(quote).ok_or("a text without an end")?;
                    tokens.push_back(Token::Text(rest[1..=end].to_owned()));
                    end + 2
                }
                '0'..='9' => {
                    let (token, length) = number(rest)?;
                    tokens.push_back(token);
                    length
                }
                _ => {
                    let length = word(rest);
                    tokens.push_back(Token::Word(rest[..length].to_owned()));
                    length
                }
            };
            rest = rest[length..].trim_start();
        }
        Ok(Self(tokens))
    }

    pub(super) fn next(&mut self) -> Result<Token> {
        self.0.pop_front().ok_or_else(|| "the end of the query".to_owned())
    }

    /// Takes the word if it is the next token.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_next = self.0.front() == Some(&Token::Word(word.to_owned()));
        if is_next {
            self.0.pop_front();
        }
        is_next
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        if self.take(word) {
            Ok(())
        } else {
            Err(format!("{:?} instead of {word}", self.0.front()))
        }
    }

    pub(super) fn name(&mut self) -> Result<String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("{other:?} instead of a name")),
        }
    }

    /// Takes a name and `sign`, if these two are next.
    pub(super) fn name_before(&mut self, sign: &str) -> Option<String> {
        match (self.0.front(), self.0.get(1)) {
            (Some(Token::Word(name)), Some(Token::Word(next))) if next == sign => {
                let name = name.clone();
                self.0.drain(..2);
                Some(name)
            }
            _ => None,
        }
    }

    pub(super) fn end(&self) -> Result<()> {
        match self.0.front() {
            None => Ok(()),
            Some(token) => Err(format!("{token:?} after the query")),
        }
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn word(rest: &str) -> usize {
    for sign in ["!has", "==", "!=", "<=", ">="] {
        if rest.starts_with(sign) {
            return sign.len();
        }
    }
    rest.find(|character| !is_of_name(character))
        .unwrap_or(rest.len())
        .max(1)
}

fn number(rest: &str) -> Result<(Token, usize)> {
    let length = rest.find(|character| !is_of_name(character)).unwrap_or(rest.len());
    if let Some(fraction) = rest[length..].strip_prefix('.') {
        let digits = fraction.find(|character: char| !character.is_ascii_digit());
        let length = length + 1 + digits.unwrap_or(fraction.len());
        let value = rest[..length].parse().map_err(|_| rest[..length].to_owned())?;
        return Ok((Token::Number(value), length));
    }
    let text = &rest[..length];
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let value: u32 = digits.parse().map_err(|_| text.to_owned())?;
    let unit = match &text[digits.len()..] {
        "" => return Ok((Token::Number(f64::from(value)), length)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(text.to_owned()),
    };
    Ok((Token::Span(i64::from(value) * unit), length))
}
