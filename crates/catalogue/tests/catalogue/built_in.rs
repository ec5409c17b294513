//! The content of the built-in catalogue.

use std::collections::BTreeSet;

use tonghop_catalogue::built_in;
use tonghop_domain::{Kind, Level, Names, Total};
use unicode_normalization::is_nfc;

use crate::folder::Folder;

#[test]
fn it_contains_one_province_with_12_districts_and_2_agencies() {
    let catalogue = built_in().unwrap();
    let count = |level| {
        catalogue
            .units()
            .iter()
            .filter(|unit| unit.level == level)
            .count()
    };
    assert_eq!(catalogue.units().len(), 16);
    assert_eq!(
        Level::ALL.map(count),
        [1, 1, 12, 0, 2],
        "country, province, districts, communes, agencies"
    );
}

#[test]
fn it_contains_67_indicators_of_which_one_is_a_ratio() {
    let catalogue = built_in().unwrap();
    let form = &catalogue.forms()[0];
    assert_eq!(catalogue.indicators().len(), 67);
    assert_eq!(form.indicators.len(), 67);
    assert_eq!(form.reportable().count(), 66);
    let ratio = form.indicator("HT.TYLE").unwrap();
    let Kind::Ratio(formula) = &ratio.kind else {
        panic!("HT.TYLE is a ratio");
    };
    assert_eq!(formula.to_string(), "100*HT.NG/NN.XD");
}

#[test]
fn july_2021_is_reported_by_exactly_14_units_until_5_august() {
    let catalogue = built_in().unwrap();
    let scope = catalogue.scope("ngay-30-7", "2021-07".parse().unwrap()).unwrap();
    let reporting: BTreeSet<&str> = scope
        .tree
        .places()
        .filter(|place| scope.form.is_reported_by(place.unit()))
        .map(|place| place.code().as_str())
        .collect();
    let districts: Vec<String> = (866..=877).map(|code| code.to_string()).collect();
    let mut expected: BTreeSet<&str> = districts.iter().map(String::as_str).collect();
    expected.extend(["87-SLDTBXH", "87-TTBTXH"]);
    assert_eq!(reporting, expected);
    assert_eq!(
        scope.form.due_at(scope.period).to_rfc3339(),
        "2021-08-05T16:59:59+00:00"
    );
    assert!(catalogue.scope("ngay-30-7", "2021-08".parse().unwrap()).is_none());
}

#[test]
fn each_indicator_is_expected_of_those_who_can_answer_it() {
    let catalogue = built_in().unwrap();
    let scope = catalogue.scope("ngay-30-7", "2021-07".parse().unwrap()).unwrap();
    let expected = |unit: &str| {
        let place = scope.tree.get(unit).unwrap();
        let answers = scope.form.answers(place.unit(), None);
        (answers.expected, answers.answered)
    };
    assert_eq!(expected("866"), (56, 0));
    assert_eq!(expected("87-SLDTBXH"), (55, 0));
    assert_eq!(expected("87-TTBTXH"), (22, 0));
    let total = Total::without_reports(&scope, scope.tree.get("87").unwrap());
    let of = |code: &str| total.rows[scope.form.row_index(code).unwrap()].counts.expected;
    assert_eq!(
        ["TT.PT", "TT.CUOC", "TT.BAO", "NN.TN", "CS.GIUONG", "TP.VU"].map(of),
        [13, 12, 1, 14, 2, 0]
    );
}

#[test]
fn it_contains_14_dimensions() {
    let catalogue = built_in().unwrap();
    assert_eq!(catalogue.dimensions().len(), 14);
    let slogans = catalogue.dimension("slogan_2021").unwrap();
    assert_eq!(slogans.categories.len(), 4);
}

#[test]
fn every_name_exists_in_both_languages_and_in_nfc() {
    let catalogue = built_in().unwrap();
    let mut names: Vec<&Names> = Vec::new();
    names.extend(catalogue.units().iter().map(|unit| &unit.names));
    names.extend(catalogue.indicators().iter().map(|indicator| &indicator.names));
    names.extend(catalogue.forms().iter().map(|form| &form.names));
    let categories = catalogue
        .dimensions()
        .iter()
        .flat_map(|dimension| &dimension.categories);
    names.extend(categories.map(|category| &category.names));
    names.extend(catalogue.dimensions().iter().map(|dimension| &dimension.names));
    assert!(names.len() > 150);
    for name in names {
        assert!(!name.vi.is_empty() && is_nfc(&name.vi), "{name:?}");
        assert!(!name.en.is_empty() && is_nfc(&name.en), "{name:?}");
    }
    for indicator in catalogue.indicators() {
        let is_text = indicator.kind == Kind::Text;
        assert_eq!(indicator.measure.vi.is_empty(), is_text, "{}", indicator.code);
        assert_eq!(indicator.measure.en.is_empty(), is_text, "{}", indicator.code);
        assert!(is_nfc(&indicator.measure.vi));
    }
}

#[test]
fn ids_count_the_units_in_the_order_of_the_file() {
    let catalogue = built_in().unwrap();
    let ids: Vec<i64> = catalogue.units().iter().map(|unit| unit.id.0).collect();
    assert_eq!(ids, (1..=16).collect::<Vec<_>>());
}

#[test]
fn the_same_files_in_a_folder_give_the_same_catalogue() {
    let folder = Folder::like_built_in();
    let loaded = folder.load().unwrap();
    let built_in = built_in().unwrap();
    assert_eq!(loaded.digest(), built_in.digest());
    assert_eq!(loaded.units(), built_in.units());
    assert_eq!(loaded.forms(), built_in.forms());
}
