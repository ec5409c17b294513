//! Reads and checks a catalogue: the units, dimensions, indicators and forms that are agreed before anyone reports.
//!
//! A catalogue is a folder of four files that people edit by hand: `units.csv`, `dimensions.csv`, `indicators.csv`
//! and `forms.toml`. [`load`] reads a folder, [`built_in`] the one that this crate carries. Whoever edits such a
//! file learns of everything that is wrong in all of them at once, each fault with its file and line.
//!
//! This crate knows nothing of databases or HTTP; the rules themselves are those of [`Catalogue::new`].
//!
//! ```
//! let catalogue = tonghop_catalogue::built_in()?;
//! let scope = catalogue.scope("ngay-30-7", "2021-07".parse().unwrap()).unwrap();
//! assert_eq!(scope.tree.get("866").unwrap().unit().names.vi, "Thành phố Cao Lãnh");
//! # Ok::<(), tonghop_catalogue::CatalogueFaults>(())
//! ```

mod assemble;
mod digest;
mod dimensions;
mod fault;
mod forms;
mod indicators;
mod keys;
mod table;
mod units;

use std::path::Path;

use tonghop_domain::Catalogue;

use assemble::{Files, assemble};
pub use fault::{CatalogueFaults, FileFault};

/// The catalogue that this crate carries: the province of Đồng Tháp before 1 July 2025.
///
/// # Errors
/// Every fault of its files; none unless they were edited and not tested.
pub fn built_in() -> Result<Catalogue, CatalogueFaults> {
    let file = |text: &str| Ok(text.as_bytes().to_vec());
    assemble(
        "the built-in catalogue",
        Files {
            units: file(include_str!("../data/units.csv")),
            dimensions: file(include_str!("../data/dimensions.csv")),
            indicators: file(include_str!("../data/indicators.csv")),
            forms: file(include_str!("../data/forms.toml")),
        },
    )
}

/// The catalogue in a folder. Its digest depends on what the files say, not on where the folder is.
///
/// # Errors
/// Every fault of its files.
pub fn load(folder: &Path) -> Result<Catalogue, CatalogueFaults> {
    let file = |name| {
        std::fs::read(folder.join(name)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("it cannot be read: {error}"),
        })
    };
    assemble(
        &format!("the catalogue in {}", folder.display()),
        Files {
            units: file(units::FILE),
            dimensions: file(dimensions::FILE),
            indicators: file(indicators::FILE),
            forms: file(forms::FILE),
        },
    )
}
