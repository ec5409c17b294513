//! The units of Viet Nam before July 2025 as a catalogue folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::ValueEnum;
use tempfile::TempDir;
use tonghop_tests::FORM;

use crate::reports::{Kind, Reports};

/// `code,name,type,parent_code,level,name_ascii`, see the README beside it.
const NATIONAL_LIST: &str = include_str!("../../../crates/catalogue/tests/fixtures/national-list.csv");
const INDICATORS: &str = include_str!("../../../crates/catalogue/data/indicators.csv");
const BUILT_IN_FORMS: &str = include_str!("../../../crates/catalogue/data/forms.toml");
const DIMENSIONS: &str = include_str!("../../../crates/catalogue/data/dimensions.csv");

/// The province whose totals are read.
pub(crate) const PROVINCE: &str = "87";
/// Its two agencies, which report in addition to its twelve districts.
const AGENCIES: [&str; 2] = ["87-SLDTBXH", "87-TTBTXH"];

/// The units that report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reporters {
    /// 705 districts without units below them.
    Districts,
    /// 10,599 communes of 700 districts; five districts have none.
    Communes,
    /// The 14 offices of one province, all other districts, and the communes of other provinces, so that the store grows
    /// while that province's total does not.
    Growing,
}

/// A catalogue and its reporting units.
#[derive(Debug)]
pub(crate) struct Country {
    folder: TempDir,
    /// The codes of the reporting units, in the order in which they report.
    pub(crate) reporters: Vec<String>,
    /// The codes of the provinces.
    pub(crate) provinces: Vec<String>,
    /// The codes of districts without reporting communes, if communes report.
    pub(crate) empty_districts: Vec<String>,
    /// The province of each reporting unit.
    pub(crate) province_of: BTreeMap<String, String>,
    /// The reportable indicators with their kinds.
    indicators: Vec<(String, Kind)>,
}

struct Unit {
    code: String,
    name: String,
    parent: String,
    level: String,
    name_en: String,
}

impl Country {
    /// Writes the catalogue, limited to the first `provinces` of the list if a number is given. The province whose totals
    /// are read is always included.
    pub(crate) fn new(who: Reporters, provinces: Option<usize>) -> Self {
        let units = units(who, provinces);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_files(folder.path(), who, &units);
        let level = |level: &'static str| {
            units
                .iter()
                .filter(move |unit| unit.level == level)
                .map(|unit| unit.code.clone())
        };
        let reporters = match who {
            Reporters::Districts => level("district").collect(),
            Reporters::Communes => level("commune").collect(),
            Reporters::Growing => growing(&units),
        };
        let parents: BTreeMap<&str, &str> = units
            .iter()
            .map(|unit| (unit.code.as_str(), unit.parent.as_str()))
            .collect();
        let province = |code: &String| {
            let mut at = code.as_str();
            while parents[at] != "VN" {
                at = parents[at];
            }
            (code.clone(), at.to_owned())
        };
        let parents_of_reporters: BTreeSet<&str> =
            reporters.iter().map(|code| parents[code.as_str()]).collect();
        let is_empty =
            |code: &String| who == Reporters::Communes && !parents_of_reporters.contains(code.as_str());
        Self {
            empty_districts: level("district").filter(is_empty).collect(),
            provinces: level("province").collect(),
            province_of: reporters.iter().map(province).collect(),
            reporters,
            indicators: indicators(),
            folder,
        }
    }

    /// The folder with the catalogue.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its reports for these periods, with this many figures each.
    pub(crate) fn reports(&self, figures: usize, periods: &[String]) -> Reports {
        let indicators = self.indicators.iter().take(figures).cloned().collect();
        Reports::new(self.reporters.clone(), periods.to_vec(), indicators)
    }
}

/// The reportable indicators of the file, in its order.
fn indicators() -> Vec<(String, Kind)> {
    let mut reader = csv::Reader::from_reader(INDICATORS.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let column = header
        .iter()
        .position(|name| name == "kind")
        .expect("a column of kinds");
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.filter_map(|row| {
        let kind = match &row[column] {
            "flow" | "stock" => Kind::Number,
            "flag" => Kind::Flag,
            "list" => Kind::List,
            "text" => Kind::Text,
            _ => return None,
        };
        Some((row[0].to_owned(), kind))
    })
    .collect()
}

fn units(who: Reporters, provinces: Option<usize>) -> Vec<Unit> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let mut units = Vec::new();
    let mut left = provinces.unwrap_or(usize::MAX).saturating_sub(1);
    for row in csv::Reader::from_reader(NATIONAL_LIST.as_bytes()).records() {
        let row = row.expect("a row of the list");
        let (code, level) = (row[0].to_owned(), row[4].to_owned());
        // The list has parents before their children.
        let (parent, province) = match level.as_str() {
            "province" => {
                if code != PROVINCE {
                    if left == 0 {
                        continue;
                    }
                    left -= 1;
                }
                ("VN".to_owned(), code.clone())
            }
            _ => match kept.get(&row[3]) {
                Some(province) => (row[3].to_owned(), province.clone()),
                None => continue,
            },
        };
        let is_wanted = match (level.as_str(), who) {
            ("commune", Reporters::Districts) => false,
            ("commune", Reporters::Growing) => province != PROVINCE,
            _ => true,
        };
        if is_wanted {
            kept.insert(code.clone(), province);
            units.push(Unit {
                code,
                name: row[1].to_owned(),
                parent,
                level,
                name_en: row[5].to_owned(),
            });
        }
    }
    if who == Reporters::Growing {
        units.extend(AGENCIES.map(|code| Unit {
            code: code.to_owned(),
            name: code.to_owned(),
            parent: PROVINCE.to_owned(),
            level: "agency".to_owned(),
            name_en: code.to_owned(),
        }));
    }
    units
}

/// The offices of the measured province, then the other districts, then the communes.
fn growing(units: &[Unit]) -> Vec<String> {
    let rank = |unit: &Unit| match unit.level.as_str() {
        "district" | "agency" if unit.parent == PROVINCE => Some(0),
        "district" => Some(1),
        "commune" => Some(2),
        _ => None,
    };
    let mut ranked: Vec<(u8, &str)> = units
        .iter()
        .filter_map(|unit| Some((rank(unit)?, unit.code.as_str())))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, code)| code.to_owned()).collect()
}

fn write_files(folder: &Path, who: Reporters, units: &[Unit]) {
    let mut csv = csv::Writer::from_path(folder.join("units.csv")).expect("a file can be made");
    let header = ["code", "name_vi", "name_en", "level", "parent_code", "valid_to"];
    csv.write_record(header).expect("a row is written");
    csv.write_record(["VN", "Việt Nam", "Viet Nam", "country", "", ""])
        .expect("a row is written");
    for unit in units {
        let Unit {
            code,
            name,
            parent,
            level,
            name_en,
        } = unit;
        csv.write_record([code, name, name_en, level, parent, "2025-07-01"])
            .expect("a row is written");
    }
    csv.flush().expect("the units are written");
    let levels = match who {
        Reporters::Districts => r#"["district"]"#,
        Reporters::Communes => r#"["commune"]"#,
        Reporters::Growing => r#"["district", "commune", "agency"]"#,
    };
    let at = BUILT_IN_FORMS
        .find("[[form.check]]")
        .unwrap_or(BUILT_IN_FORMS.len());
    let checks = &BUILT_IN_FORMS[at..];
    let form = format!(
        r#"
        [[form]]
        code = "{FORM}"
        version = 1
        name_vi = "Báo cáo tháng"
        name_en = "Monthly report"
        frequency = "monthly"
        calendar = "civil"
        due_days = 5
        utc_offset = "+07:00"
        reporting_levels = {levels}
        indicators = "all"

        [[form.expect]]
        indicators = ["CD.*", "TT.*", "TH.*", "KT.*", "NN.*", "HT.*", "CS.*", "DG.*"]
        levels = {levels}

        [[form.expect]]
        indicators = ["DD.*", "TP.*"]
        units = []

        {checks}
        "#
    );
    for (name, text) in [
        ("indicators.csv", INDICATORS),
        ("dimensions.csv", DIMENSIONS),
        ("forms.toml", &form),
    ] {
        std::fs::write(folder.join(name), text).expect("a file is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_country_has_its_units_and_the_growing_one_begins_with_one_province() {
        let districts = Country::new(Reporters::Districts, None);
        assert_eq!((districts.reporters.len(), districts.provinces.len()), (705, 63));
        let communes = Country::new(Reporters::Communes, None);
        assert_eq!(communes.reporters.len(), 10_599);
        assert_eq!(communes.empty_districts, ["318", "471", "498", "536", "755"]);
        let growing = Country::new(Reporters::Growing, None);
        let first = &growing.reporters[..14];
        assert!(
            first.iter().all(|code| growing.province_of[code] == PROVINCE),
            "{first:?}"
        );
        let others = &growing.reporters[14..];
        assert!(others.iter().all(|code| growing.province_of[code] != PROVINCE));
        assert!(others.len() >= 10_599 - 14);
        let few = Country::new(Reporters::Communes, Some(2));
        assert_eq!(few.provinces, ["01", PROVINCE]);
    }
}
