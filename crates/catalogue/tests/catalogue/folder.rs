//! A catalogue folder for a test.

use std::path::{Path, PathBuf};

use tonghop_catalogue::{InvalidCatalogue, load};
use tonghop_domain::Catalogue;

/// A folder that is deleted after the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// The smallest catalogue: a country, a dimension, an indicator and a form.
    pub(crate) fn small() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder
            .with("units.csv", "code,name_vi,name_en,level,parent_code\nVN,Việt Nam,Viet Nam,country,\n")
            .with("dimensions.csv", "dimension,code,name_vi,name_en\nsex,nu,Nữ,female\n")
            .with(
                "indicators.csv",
                "code,name_vi,name_en,unit_vi,unit_en,kind,value_type,across_time,breakdowns,min,max,formula\n\
                 A.1,Một,One,,,flow,count,sum,sex,0,,\n",
            )
            .with("forms.toml", SMALL_FORM)
    }

    /// The files of the built-in catalogue.
    pub(crate) fn like_built_in() -> Self {
        let data = data();
        let folder = Self(tempfile::tempdir().unwrap());
        for name in FILES {
            std::fs::copy(data.join(name), folder.path().join(name)).unwrap();
        }
        folder
    }

    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path().join(name), content).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn load(&self) -> Result<Catalogue, InvalidCatalogue> {
        load(self.path())
    }

    /// Every error as displayed, without the introductory line.
    pub(crate) fn errors(&self) -> Vec<String> {
        let errors = self.load().unwrap_err();
        let displayed = errors.to_string();
        let lines: Vec<String> = displayed.lines().skip(1).map(str::to_owned).collect();
        assert_eq!(lines.len(), errors.errors().len(), "an error takes one line");
        lines
    }
}

/// The four files of a catalogue.
pub(crate) const FILES: [&str; 4] = ["units.csv", "dimensions.csv", "indicators.csv", "forms.toml"];

/// The folder of the built-in catalogue.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// The form of the smallest catalogue.
pub(crate) const SMALL_FORM: &str = r#"
[[form]]
code = "mau-1"
version = 1
name_vi = "Mẫu 1"
name_en = "Form 1"
frequency = "monthly"
calendar = "civil"
due_days = 5
utc_offset = "+07:00"
reporting_levels = ["country"]
indicators = "all"
"#;
