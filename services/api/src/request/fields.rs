//! The query parameter that chooses members of the entries of a list.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema};

use crate::problem::text::localized;
use crate::request::query::Query;

/// The body of an entry of a list.
pub(crate) trait ListEntry: Serialize + PartialSchema {
    /// The members of its schema that entries of lists never have.
    const ELSEWHERE: &[&str] = &[];
}

/// The query parameter that chooses members of entries of type `T`.
pub(crate) struct FieldsQuery<T>(PhantomData<T>);

impl<T: ListEntry> IntoParams for FieldsQuery<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(members::<T>()));
        let parameter = ParameterBuilder::new()
            .name("fields")
            .parameter_in(ParameterIn::Query)
            .description(Some(
                "Only these members of each entry; repeat the parameter, or separate names by commas. The entries then lack \
                 the others, also those that their schema requires, which a generated client may not accept",
            ))
            .schema(Some(ArrayBuilder::new().items(name)));
        vec![parameter.build()]
    }
}

/// The members that a caller wants of each entry of a list; none means all of them.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Option<Arc<[String]>>);

/// An entry of a list, of which a response contains the members that the caller wants.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    whole: T,
    fields: Fields,
}

impl Fields {
    /// Reads [`FieldsQuery`]. Names of other members are errors.
    pub(crate) fn read<T: ListEntry>(query: &mut Query) -> Self {
        let given = query.repeated("fields");
        if given.is_empty() {
            return Self(None);
        }
        let (mut known, wanted): (Vec<String>, Vec<&str>) = (
            members::<T>(),
            given.iter().flat_map(|value| value.split(',')).collect(),
        );
        if wanted.iter().any(|name| !known.iter().any(|known| known == name)) {
            let known = known.join(", ");
            let hint = localized(
                format!("Write names of members, separated by commas: {known}."),
                format!("Hãy viết tên các trường, cách nhau bằng dấu phẩy: {known}."),
            );
            query.malformed("fields", hint);
        }
        known.retain(|name| wanted.contains(&name.as_str()));
        Self(Some(known.into()))
    }

    /// Whether the caller wants one of these members.
    pub(crate) fn include_any(&self, names: &[&str]) -> bool {
        let wanted = |wanted: &Arc<[String]>| wanted.iter().any(|name| names.contains(&name.as_str()));
        self.0.as_ref().is_none_or(wanted)
    }

    /// Entries with the members that the caller wants.
    pub(crate) fn of_all<T>(&self, entries: impl IntoIterator<Item = T>) -> Vec<Entry<T>> {
        let entries = entries.into_iter();
        let entry = |whole| Entry {
            whole,
            fields: self.clone(),
        };
        entries.map(entry).collect()
    }
}

/// The names of the members that entries can have.
fn members<T: ListEntry>() -> Vec<String> {
    let RefOr::T(Schema::Object(object)) = T::schema() else {
        return Vec::new();
    };
    let names = object.properties.into_keys();
    names
        .filter(|name| !T::ELSEWHERE.contains(&name.as_str()))
        .collect()
}

impl<T: Serialize> Serialize for Entry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(wanted) = &self.fields.0 else {
            return self.whole.serialize(serializer);
        };
        let Value::Object(members) = serde_json::to_value(&self.whole).map_err(S::Error::custom)? else {
            return Err(S::Error::custom("an entry of a list is not an object"));
        };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in members.iter().filter(|(name, _)| wanted.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::ToSchema;

    use super::*;

    #[derive(Serialize, ToSchema)]
    struct Office {
        code: &'static str,
        level: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<&'static str>,
    }

    impl ListEntry for Office {
        const ELSEWHERE: &[&str] = &["secret"];
    }

    fn with_fields(text: &str) -> Option<Value> {
        let mut query = Query::parse(text);
        let fields = Fields::read::<Office>(&mut query);
        query.finish().ok()?;
        let root = Office {
            code: "VN",
            level: 0,
            parent: None,
            secret: None,
        };
        let province = Office {
            code: "87",
            level: 1,
            parent: Some("VN"),
            secret: None,
        };
        serde_json::to_value(fields.of_all([root, province])).ok()
    }

    #[test]
    fn entries_have_the_members_that_are_wanted() {
        let all = json!([{"code": "VN", "level": 0}, {"code": "87", "level": 1, "parent": "VN"}]);
        assert_eq!(with_fields(""), Some(all));
        let some = json!([{"code": "VN"}, {"code": "87", "parent": "VN"}]);
        for text in [
            "fields=parent,code,code",
            "fields=code&fields=parent",
            "fields=code,parent&fields=code",
        ] {
            assert_eq!(with_fields(text).as_ref(), Some(&some), "{text}");
        }
    }

    #[test]
    fn a_member_that_entries_cannot_have_is_an_error() {
        for text in [
            "fields=",
            "fields=codes",
            "fields=code,",
            "fields=code,%20level",
            "fields=code&fields=",
            "fields=secret",
        ] {
            assert_eq!(with_fields(text), None, "{text}");
        }
    }
}
