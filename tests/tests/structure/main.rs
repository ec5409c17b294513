//! The structure of the project: which package uses which, which file imports which, how long files are, and what the
//! documents name.

mod documents;
mod glossary;
mod imports;
mod layers;
mod sizes;
mod sources;
