//! Reads and checks catalogues: the units, dimensions, indicators and forms on which reporting is based.
//!
//! A catalogue is a folder of four files that people edit by hand: `units.csv`, `dimensions.csv`, `indicators.csv` and
//! `forms.toml`. [`load`] reads a folder; [`built_in`] reads the catalogue that this crate contains. All errors in all files
//! are reported at once, each with its file and line.
//!
//! This crate knows nothing of databases or HTTP. The rules between entries are those of [`Catalogue::new`].
//!
//! ```
//! let catalogue = tonghop_catalogue::built_in()?;
//! let scope = catalogue.scope("ngay-30-7", "2021-07".parse().unwrap()).unwrap();
//! assert_eq!(scope.tree.get("866").unwrap().unit().names.vi, "Thành phố Cao Lãnh");
//! # Ok::<(), tonghop_catalogue::InvalidCatalogue>(())
//! ```

mod assemble;
mod digest;
mod dimensions;
mod error;
mod forms;
mod indicators;
mod table;
mod toml_table;
mod units;

use std::path::Path;

use tonghop_domain::Catalogue;

use assemble::{Files, assemble};
pub use error::{FileError, InvalidCatalogue};

/// Reads the catalogue that this crate contains: the province of Đồng Tháp before 1 July 2025.
///
/// # Errors
/// Every error in its files. The tests ensure that there is none.
pub fn built_in() -> Result<Catalogue, InvalidCatalogue> {
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

/// Reads the catalogue in a folder. The digest depends on the content of the files, not on the folder's path.
///
/// # Errors
/// Every error in the files.
pub fn load(folder: &Path) -> Result<Catalogue, InvalidCatalogue> {
    let file = |name| {
        std::fs::read(folder.join(name)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
            _ => format!("the file cannot be read: {error}"),
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
