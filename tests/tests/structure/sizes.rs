//! Files that fit a sitting and functions that fit a screen.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::sources::{attributes_before, is_for_tests, is_ident, module_at, our_sources, short};

/// The longest file, without its test modules.
const FILE_LINES: usize = 400;

/// The longest function.
const FUNCTION_LINES: usize = 60;

/// The longest handler of an operation, without its signature: it parses, calls once and responds.
const HANDLER_LINES: usize = 25;

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
            functions(tokens.clone(), &mut |function| {
                if function.lines > FUNCTION_LINES {
                    faults.push((format!("{}: {}", short(file), function.name), function.lines));
                }
            });
        }
    }
    assert_only_exceptions(&faults, LONG_FUNCTIONS);
}

#[test]
fn no_handler_is_longer_than_25_lines() {
    let (mut handlers, mut faults) = (0, Vec::new());
    for sources in our_sources() {
        for (file, _, tokens) in &sources.files {
            functions(tokens.clone(), &mut |function| {
                handlers += usize::from(function.is_handler);
                if function.is_handler && function.body_lines > HANDLER_LINES {
                    faults.push((format!("{}: {}", short(file), function.name), function.body_lines));
                }
            });
        }
    }
    assert!(handlers >= 20, "only {handlers} handlers were found");
    assert!(faults.is_empty(), "{faults:?}");
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

struct Function {
    name: String,
    lines: usize,
    /// The lines between the braces.
    body_lines: usize,
    is_handler: bool,
}

/// Calls `visit` with every function outside test modules.
fn functions(tokens: TokenStream, visit: &mut impl FnMut(Function)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let Some((_, Some(_))) = module_at(&tokens, at.saturating_sub(2))
            && is_for_tests(&attributes_before(&tokens, at.saturating_sub(2)))
        {
            continue;
        }
        if let TokenTree::Group(group) = token {
            functions(group.stream(), visit);
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
            let brace = body.map_or(token.span(), TokenTree::span).start().line;
            visit(Function {
                name: name.to_string(),
                lines: last - token.span().start().line + 1,
                body_lines: (last - brace).saturating_sub(1),
                is_handler: is_handler(&tokens, at),
            });
        }
    }
}

/// Whether the function whose keyword is here documents an operation.
fn is_handler(tokens: &[TokenTree], at: usize) -> bool {
    let is_async = at > 0 && is_ident(tokens.get(at - 1), "async");
    let attributes = attributes_before(tokens, at - usize::from(is_async));
    attributes
        .iter()
        .any(|attribute| attribute.to_string().starts_with("utoipa :: path"))
}
