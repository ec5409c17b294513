//! Which package may use which, checked against `cargo metadata`.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use proc_macro2::{TokenStream, TokenTree};

use crate::sources::{is_ident, our_sources, short};

/// Each of our packages, with the packages of ours that it may use outside its tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("tonghop-domain", &[]),
    ("tonghop-catalogue", &["tonghop-domain"]),
    ("tonghop-storage", &["tonghop-domain", "tonghop-tls"]),
    ("tonghop-access", &["tonghop-domain", "tonghop-storage"]),
    ("tonghop-events", &["tonghop-domain", "tonghop-tls"]),
    ("tonghop-metrics", &["tonghop-storage", "tonghop-events"]),
    (
        "tonghop-process",
        &[
            "tonghop-domain",
            "tonghop-catalogue",
            "tonghop-storage",
            "tonghop-events",
        ],
    ),
    ("tonghop-tls", &[]),
    ("tonghop-testkit", &["tonghop-domain"]),
    (
        "tonghop-api",
        &[
            "tonghop-access",
            "tonghop-domain",
            "tonghop-catalogue",
            "tonghop-storage",
            "tonghop-events",
            "tonghop-metrics",
            "tonghop-process",
            "tonghop-tls",
        ],
    ),
    (
        "tonghop-aggregator",
        &[
            "tonghop-domain",
            "tonghop-storage",
            "tonghop-events",
            "tonghop-metrics",
            "tonghop-process",
        ],
    ),
    (
        "tonghop",
        &[
            "tonghop-access",
            "tonghop-domain",
            "tonghop-storage",
            "tonghop-events",
            "tonghop-metrics",
            "tonghop-process",
            "tonghop-tls",
            "tonghop-api",
            "tonghop-aggregator",
        ],
    ),
];

/// Libraries, by the beginning of their names, with the only packages that may use them.
const ONLY: &[(&str, &[&str])] = &[
    ("diesel", &["tonghop-storage"]),
    ("lapin", &["tonghop-events"]),
    ("rustls", &["tonghop-tls"]),
    ("actix-web", SERVICES),
    ("utoipa", SERVICES),
];

const SERVICES: &[&str] = &["tonghop-api", "tonghop-aggregator", "tonghop"];

/// Packages outside the layers, which may use anything: the end-to-end tests and the load harness.
const TESTS: [&str; 2] = ["tonghop-tests", "tonghop-load"];

/// The folder of the service that shows figures.
const SHOWS_FIGURES: &str = "services/api/src/";

#[test]
fn our_packages_use_only_those_below_them() {
    let metadata = metadata();
    let packages: Vec<&Package> = layered(&metadata).collect();
    let mut faults = Vec::new();
    for (name, _) in MAY_USE {
        if !packages.iter().any(|package| package.name == *name) {
            faults.push(format!("{name} has a row in {} and does not exist", file!()));
        }
    }
    for package in packages {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| package.name == *name) else {
            faults.push(format!("{} has no row in {}", package.name, file!()));
            continue;
        };
        let used: Vec<&str> = dependencies(package)
            .filter(|used| used.starts_with("tonghop"))
            .collect();
        for name in used.iter().filter(|used| !allowed.contains(used)) {
            faults.push(format!("{} may not use {name}", package.name));
        }
        for name in allowed.iter().filter(|name| !used.contains(name)) {
            faults.push(format!("{} may use {name} and does not", package.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_library_is_used_only_where_it_belongs() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in layered(&metadata) {
        for used in dependencies(package) {
            for (library, users) in ONLY {
                if used.starts_with(library) && !users.contains(&package.name.as_str()) {
                    faults.push(format!(
                        "{} may not use {used}: only {} may",
                        package.name,
                        users.join(", ")
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_testkit_is_used_only_by_tests() {
    let metadata = metadata();
    for package in layered(&metadata) {
        assert!(
            dependencies(package).all(|used| used != "tonghop-testkit"),
            "{} uses tonghop-testkit outside its tests",
            package.name
        );
    }
}

/// Only the start of the program names the store; whatever else shows figures reads them by `tonghop-access`.
#[test]
fn the_api_reads_figures_only_through_the_access_crate() {
    let (mut files, mut faults) = (0, Vec::new());
    for sources in our_sources() {
        for (file, _, tokens) in &sources.files {
            let name = short(file);
            if name.starts_with(SHOWS_FIGURES) && !name.ends_with("/main.rs") {
                files += 1;
                if names_store(tokens.clone()) {
                    faults.push(name);
                }
            }
        }
    }
    assert!(files >= 40, "only {files} files were read");
    assert!(
        faults.is_empty(),
        "these files name the store: {}",
        faults.join(", ")
    );
}

/// Whether tokens contain `Store`, other than as `Refusal::Store`.
fn names_store(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(ident) => {
            let is_variant = is_ident(tokens.get(at.wrapping_sub(3)), "Refusal");
            ident == "Store" && !is_variant
        }
        TokenTree::Group(group) => names_store(group.stream()),
        _ => false,
    })
}

/// The manifests of the workspace. Dependencies are not resolved, so this needs no network.
fn metadata() -> Metadata {
    MetadataCommand::new()
        .cargo_path(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned(), "--offline".to_owned()])
        .exec()
        .expect("cargo metadata describes the workspace")
}

fn layered(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let packages = metadata.workspace_packages();
    for name in TESTS {
        assert!(
            packages.iter().any(|package| package.name == name),
            "{name} is in the workspace"
        );
    }
    let is_layered = |package: &&Package| !TESTS.contains(&package.name.as_str());
    packages.into_iter().filter(is_layered)
}

/// The packages that a package uses outside its tests.
fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}
