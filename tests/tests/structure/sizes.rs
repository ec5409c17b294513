//! Files that fit a sitting and functions that fit a screen.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::sources::{attributes_before, is_for_tests, is_ident, module_at, our_sources, short};

/// The longest file, without its test modules.
const FILE_LINES: usize = 400;

/// The longest function.
const FUNCTION_LINES: usize = 60;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that may be longer, each with the reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut faults = Vec::new();
    for sources in our_sources() {
        for (file, _, tokens) in &sources.files {
            let lines =
                std::fs::read_to_string(file).unwrap().lines().count() - lines_of_tests(tokens.clone());
            if lines > FILE_LINES {
                faults.push((short(file), lines));
            }
        }
    }
    assert_only_exceptions(&faults, LONG_FILES);
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let mut faults = Vec::new();
    for sources in our_sources() {
        for (file, _, tokens) in &sources.files {
            long_functions(file, tokens.clone(), &mut faults);
        }
    }
    assert_only_exceptions(&faults, LONG_FUNCTIONS);
}

/// Fails the test for what is too long and no exception.
fn assert_only_exceptions(faults: &[(String, usize)], exceptions: &[(&str, &str)]) {
    let is_exception = |name: &String| exceptions.iter().any(|(excepted, _)| excepted == name);
    let faults: Vec<_> = faults.iter().filter(|(name, _)| !is_exception(name)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

fn lines_of_tests(tokens: TokenStream) -> usize {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let tests = (0..tokens.len()).filter_map(|at| {
        let (_, body) = module_at(&tokens, at)?;
        let span = body?.span();
        is_for_tests(&attributes_before(&tokens, at)).then(|| span.end().line - span.start().line + 1)
    });
    tests.sum()
}

fn long_functions(file: &Path, tokens: TokenStream, found: &mut Vec<(String, usize)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let Some((_, Some(_))) = module_at(&tokens, at.saturating_sub(2))
            && is_for_tests(&attributes_before(&tokens, at.saturating_sub(2)))
        {
            continue;
        }
        if let TokenTree::Group(group) = token {
            long_functions(file, group.stream(), found);
        }
        if is_ident(Some(token), "fn")
            && let Some(TokenTree::Ident(name)) = tokens.get(at + 1)
        {
            let body = tokens[at..].iter().find(|token| {
                let is_body = |group: &proc_macro2::Group| group.delimiter() == Delimiter::Brace;
                matches!(token, TokenTree::Group(group) if is_body(group))
                    || matches!(token, TokenTree::Punct(end) if end.as_char() == ';')
            });
            let last = body.map_or(token.span(), TokenTree::span).end().line;
            let lines = last - token.span().start().line + 1;
            if lines > FUNCTION_LINES {
                found.push((format!("{}: {name}", short(file)), lines));
            }
        }
    }
}
