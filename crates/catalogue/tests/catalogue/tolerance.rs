//! Changes by editors and spreadsheets that do not affect the content.

use crate::folder::{FILES, Folder, SMALL_FORM, data};

#[test]
fn byte_order_marks_line_ends_and_decomposed_letters_change_nothing() {
    use unicode_normalization::UnicodeNormalization;
    let mut folder = Folder::like_built_in();
    let digest = folder.load().unwrap().digest().to_owned();
    for name in FILES {
        let text = std::fs::read_to_string(data().join(name)).unwrap();
        let decomposed: String = text.nfd().collect();
        assert_ne!(decomposed, text, "{name}");
        folder = folder.with(name, format!("\u{feff}{}", decomposed.replace('\n', "\r\n")));
    }
    assert_eq!(folder.load().unwrap().digest(), digest);
}

#[test]
fn comments_column_order_semicolons_and_empty_rows_change_nothing() {
    let plain = Folder::small();
    let other = Folder::small()
        .with(
            "units.csv",
            "level;name_en;code;parent_code;name_vi;type\r\n\r\ncountry;\"Viet Nam\";VN;;Việt Nam ;nước;;\r\n;;;;;\r\n",
        )
        .with("forms.toml", format!("# a comment\n{SMALL_FORM}\n# another\n"));
    assert_eq!(other.load().unwrap().digest(), plain.load().unwrap().digest());
}

const EXPECT: &str = "[[form.expect]]\nindicators = [\"A.1\"]\nunits = []\n";
const CHECK: &str =
    "[[form.check]]\nrule = \"A.1 > 0\"\nseverity = \"warning\"\ntext_vi = \"a\"\ntext_en = \"a\"\n";

#[test]
fn a_change_of_content_changes_the_digest() {
    let digest = |folder: Folder| folder.load().unwrap().digest().to_owned();
    let changed = [
        Folder::small().with(
            "units.csv",
            "code,name_vi,level,parent_code\nVN,Việt Nam,country,\n",
        ),
        Folder::small().with(
            "dimensions.csv",
            "dimension,code,name_vi,name_en\nsex,nu,Nữ,women\n",
        ),
        Folder::small().with("forms.toml", SMALL_FORM.replace("due_days = 5", "due_days = 6")),
        Folder::small().with("forms.toml", format!("{SMALL_FORM}opens_days = 1\n")),
        Folder::small().with("forms.toml", format!("{SMALL_FORM}{EXPECT}")),
        Folder::small().with("forms.toml", format!("{SMALL_FORM}{CHECK}")),
        Folder::small().with(
            "forms.toml",
            format!("{SMALL_FORM}{}", CHECK.replace("warning", "error")),
        ),
        Folder::small().with("forms.toml", SMALL_FORM.replace("\"all\"", "[\"A.1\"]")),
    ];
    let digests: Vec<String> = changed.into_iter().map(digest).collect();
    let small = digest(Folder::small());
    assert_eq!(small.len(), 64);
    assert!(digests[..7].iter().all(|other| *other != small), "{digests:?}");
    assert_ne!(digests[5], digests[6], "the severity matters");
    assert_eq!(digests[7], small, "a list of all indicators equals all");
}

#[test]
fn an_english_name_falls_back_to_ascii_then_to_vietnamese() {
    let folder = Folder::small().with(
        "units.csv",
        "code,name,name_en,name_ascii,level,parent_code\n\
         VN,Việt Nam,Viet Nam,Viet-Nam,country,\n01,Hà Nội,,Ha Noi,province,VN\n02,Hà Giang,,,province,VN\n",
    );
    let catalogue = folder.load().unwrap();
    let names: Vec<&str> = catalogue
        .units()
        .iter()
        .map(|unit| unit.names.en.as_str())
        .collect();
    assert_eq!(names, ["Viet Nam", "Ha Noi", "Hà Giang"]);
}

#[test]
fn days_of_a_form_work_with_and_without_quotation_marks() {
    let days = "version = 1\nvalid_from = 2021-01-01\nvalid_to = \"2022-01-01\"";
    let folder = Folder::small().with("forms.toml", SMALL_FORM.replace("version = 1", days));
    let catalogue = folder.load().unwrap();
    assert!(catalogue.scope("mau-1", "2021-12".parse().unwrap()).is_some());
    assert!(catalogue.scope("mau-1", "2022-01".parse().unwrap()).is_none());
}

#[test]
fn a_dimension_is_named_in_its_first_row_or_by_its_code() {
    let folder = Folder::small().with(
        "dimensions.csv",
        "dimension,dimension_vi,dimension_en,code,name_vi,name_en\n\
         sex,giới tính,gender,nu,Nữ,female\nsex,,,nam,Nam,male\nage,,,d10,Dưới 10,under 10\n",
    );
    let catalogue = folder.load().unwrap();
    let names = |code: &str| {
        let names = &catalogue.dimension(code).unwrap().names;
        (names.vi.clone(), names.en.clone())
    };
    assert_eq!(names("sex"), ("giới tính".to_owned(), "gender".to_owned()));
    assert_eq!(names("age"), ("age".to_owned(), "age".to_owned()));
}
