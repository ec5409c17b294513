//! A catalogue that is wrong is told all that is wrong with it.

use tonghop_catalogue::load;

use crate::folder::{FILES, Folder, SMALL_FORM};

const INDICATOR_COLUMNS: &str =
    "code,name_vi,name_en,unit_vi,unit_en,kind,value_type,across_time,breakdowns,min,max,formula,note\n";

#[test]
fn ten_faults_in_four_files_are_all_told_with_their_lines() {
    let folder = Folder::small()
        .with(
            "units.csv",
            "code,name_vi,name_en,level,parent_code,valid_from,valid_to\n\
             VN,Việt Nam,Viet Nam,country,,,\n\
             01,Hà Nội,Ha Noi,province,99,,\n\
             02,Hà Giang,Ha Giang,county,VN,,\n\
             04,Cao Bằng,Cao Bang,province,VN,01/07/2021,\n\
             tp,Thành phố,City,province,VN,,\n",
        )
        .with(
            "dimensions.csv",
            "dimension,code,name_vi,name_en\nsex,nu,Nữ,female\nsex,nu,Nữ,women\nage,d10,,under 10\n",
        )
        .with(
            "indicators.csv",
            format!(
                "{INDICATOR_COLUMNS}\
                 A.1,Một,One,,,flow,count,sum,colour,0,,,\n\
                 A.2,Hai,Two,,,flows,count,sum,,zero,,,\n"
            ),
        )
        .with(
            "forms.toml",
            SMALL_FORM.replace("due_days = 5", "due_days = \"5\"\ncolour = \"red\""),
        );
    assert_eq!(
        folder.faults(),
        [
            "units.csv:3: the parent 99 does not exist on 1970-01-01, when this unit does",
            "units.csv:4: level: \"county\" is none of country, province, district, commune, agency",
            "units.csv:5: valid_from: \"01/07/2021\" is not a day: write 2021-07-31",
            "units.csv:6: code: \"tp\": a unit code has 1 to 32 characters out of A-Z, 0-9 and -",
            "dimensions.csv:3: the category nu of sex is given twice",
            "dimensions.csv:4: name_vi is empty",
            "indicators.csv:2: the dimension colour does not exist",
            "indicators.csv:3: kind: \"flows\" is none of flow, stock, flag, list, text, ratio",
            "indicators.csv:3: min: \"zero\" is not a whole number",
            "forms.toml:9: due_days: this must be a whole number from 0 to 366",
            "forms.toml:10: a form has no key \"colour\"",
        ]
    );
}

#[test]
fn the_first_line_names_the_catalogue_and_counts() {
    let folder = Folder::small().with("dimensions.csv", "dimension,code,name_vi,name_en\nvalue,a,A,A\n");
    let folder = folder.with(
        "indicators.csv",
        format!("{INDICATOR_COLUMNS}A,Một,One,,,flow,count,sum,,,,,\n"),
    );
    let faults = folder.load().unwrap_err();
    assert_eq!(
        faults.to_string(),
        format!(
            "the catalogue in {} has 1 fault:\ndimensions.csv:2: a dimension may not be called value",
            folder.path().display()
        )
    );
    assert_eq!(faults.faults()[0].file, "dimensions.csv");
    assert_eq!(faults.faults()[0].line, Some(2));
}

#[test]
fn a_missing_file_is_a_fault_of_that_file_alone() {
    for name in FILES {
        let folder = Folder::small();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        assert_eq!(folder.faults(), [format!("{name}: there is no such file")]);
    }
    let nowhere = load(std::path::Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(nowhere.faults().len(), 4);
}

#[test]
fn a_missing_column_is_a_fault_of_that_file_alone() {
    let folder = Folder::small().with("units.csv", "code,colour,name_vi,name,level\nVN,x,y,z,country\n");
    assert_eq!(
        folder.faults(),
        [
            "units.csv:1: there is no column \"colour\"",
            "units.csv:1: the column name_vi is given twice",
            "units.csv:1: the column parent_code is missing",
        ]
    );
}

#[test]
fn nothing_at_all_is_a_fault() {
    let folder = Folder::small()
        .with("units.csv", "code,name_vi,level,parent_code\n")
        .with("indicators.csv", INDICATOR_COLUMNS)
        .with("dimensions.csv", "")
        .with("forms.toml", "");
    assert_eq!(
        folder.faults(),
        [
            "units.csv: the file names no unit",
            "dimensions.csv: the file is empty: its first line names the columns",
            "indicators.csv: the file names no indicator",
            "forms.toml: the file names no form",
        ]
    );
}

#[test]
fn rows_that_are_no_rows_are_told_by_their_first_line() {
    let text = "code,name_vi,name_en,level,parent_code\n\n\
         VN,Việt Nam,Viet Nam,country,\n\
         01,Hà Nội, thủ đô,Ha Noi,province,VN\n\n\
         02,Hà Giang,Ha Giang\n\
         04,\"Cao Bằng,Cao Bang,province,VN\n06,Bắc Kạn,Bac Kan,province,VN\n";
    let folder = Folder::small().with("units.csv", text);
    let faults = folder.faults();
    let at = |start: &str| faults.iter().filter(|fault| fault.starts_with(start)).count();
    assert!(
        at("units.csv:4: the row has 6 fields, the header 5") == 1,
        "{faults:#?}"
    );
    assert!(
        at("units.csv:6: the row has 3 fields, the header 5") == 1,
        "{faults:#?}"
    );
    assert!(
        at("units.csv:7: a field runs over several lines") == 1,
        "{faults:#?}"
    );
    assert!(
        faults.iter().all(|fault| fault.starts_with("units.csv:")),
        "{faults:#?}"
    );
    let other_line_ends = Folder::small().with("units.csv", text.replace('\n', "\r\n"));
    assert_eq!(other_line_ends.faults(), faults);
}

#[test]
fn text_that_is_not_utf_8_is_told_by_its_line() {
    let folder = Folder::small().with(
        "dimensions.csv",
        b"dimension,code,name_vi,name_en\nsex,nu,N\xfb,female\n",
    );
    assert_eq!(
        folder.faults(),
        ["dimensions.csv:2: the text is not UTF-8: save the file as UTF-8"]
    );
}

#[test]
fn units_that_form_no_tree_are_told_once_each() {
    let folder = Folder::small().with(
        "units.csv",
        "code,name_vi,level,parent_code,valid_from,valid_to\n\
         VN,Việt Nam,country,,,\n\
         LA,Lào,country,,,\n\
         01,Một,province,VN,,2021-01-01\n\
         01,Một nữa,province,VN,2020-01-01,\n\
         02,Hai,province,03,,\n\
         03,Ba,province,02,,\n\
         04,Bốn,province,VN,2021-01-01,2021-01-01\n",
    );
    assert_eq!(
        folder.faults(),
        [
            "units.csv:3: only one unit may have no parent: the root",
            "units.csv:5: the code is held by another unit on the same day",
            "units.csv:6: the unit is above itself",
            "units.csv:7: the unit is above itself",
            "units.csv:8: valid_to 2021-01-01 is not after valid_from 2021-01-01",
        ]
    );
}

#[test]
fn indicators_at_odds_are_told() {
    let folder = Folder::small().with(
        "indicators.csv",
        format!(
            "{INDICATOR_COLUMNS}\
             A.1,Một,One,,,flow,count,sum,sex sex SEX,5,4,,\n\
             A.1,Hai,Two,,,flag,count,daily,sex,,,,\n\
             A.3,Ba,Three,,,ratio,percent,recompute,,,,100*A.1/A.9,\n\
             A.4,Bốn,Four,,,ratio,percent,recompute,,,,A.1/A.1,\n\
             A.5,Năm,Five,,,text,text,last,,,,100*A.1/A.1,\n"
        ),
    );
    assert_eq!(
        folder.faults(),
        [
            "indicators.csv:2: breakdowns: sex is given twice",
            "indicators.csv:2: breakdowns: \"SEX\": a dimension code has 1 to 32 characters out of a-z, 0-9 and _",
            "indicators.csv:2: min 5 is above max 4",
            "indicators.csv:3: across_time: \"daily\" is none of sum, last, max, any, union_ordered, recompute",
            "indicators.csv:3: the indicator A.1 is given twice",
            "indicators.csv:3: a flag has no breakdowns",
            "indicators.csv:4: the indicator A.9 in the formula does not exist",
            "indicators.csv:5: formula: \"A.1/A.1\" does not look like 100*HT.NG/NN.XD",
            "indicators.csv:6: formula: a text has none",
            "forms.toml:2: the indicator A.1 is on the form twice",
            "forms.toml:2: A.3 needs A.9, which is not on the form",
        ]
    );
}

#[test]
fn forms_at_odds_are_told_by_the_line_of_the_key_or_the_table() {
    let second = SMALL_FORM
        .replace(
            "calendar = \"civil\"\n",
            "calendar = \"lunar\"\nperiods = [7, 13, 0]\n",
        )
        .replace("\"+07:00\"", "\"7\"")
        .replace(
            "[\"country\"]",
            "[\"country\", 3]\nreporting_units = [\n  \"VN\",\n  \"99\",\n]",
        )
        .replace("\"all\"", "[\"A.1\", \"A.2\"]")
        .replace("name_en", "name_fr");
    let folder = Folder::small().with("forms.toml", format!("{SMALL_FORM}{second}"));
    assert_eq!(
        folder.faults(),
        [
            "forms.toml:14: the key name_en is missing",
            "forms.toml:14: version 1 of the form mau-1 is given twice",
            "forms.toml:18: a form has no key \"name_fr\"",
            "forms.toml:20: calendar: \"lunar\" is none of civil, decree-09-2019",
            "forms.toml:21: periods: this must be a whole number from 1 to 255",
            "forms.toml:23: utc_offset: \"7\" is no offset from UTC: write +07:00",
            "forms.toml:24: reporting_levels: this must be a text in quotation marks",
            "forms.toml:29: indicators: the indicator \"A.2\" does not exist",
        ]
    );
    let lone = SMALL_FORM.replace(
        "reporting_levels = [\"country\"]",
        "periods = [13]\nreporting_units = [\"99\"]",
    );
    let folder = Folder::small().with("forms.toml", lone);
    assert_eq!(
        folder.faults(),
        [
            "forms.toml:2: the reporting unit 99 does not exist",
            "forms.toml:2: a year has no period number 13 of this frequency",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_by_its_line() {
    let folder = Folder::small().with("forms.toml", "# forms\n[[form]]\ncode = mau-1\n");
    let faults = folder.faults();
    assert!(faults[0].starts_with("forms.toml:3: "), "{faults:?}");
    let folder = Folder::small().with("forms.toml", "[form]\ncode = \"a\"\n[other]\n");
    assert_eq!(
        folder.faults(),
        [
            "forms.toml:1: write [[form]], in doubled brackets, above each form",
            "forms.toml:3: there is no key \"other\" outside a form",
        ]
    );
}
