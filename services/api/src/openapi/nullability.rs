//! Optional fields and parameters are omitted, never null. The document states this in one place.

use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Required};

/// Removes null from the types of fields and parameters that are not required. Required ones that may be null keep it.
pub(crate) fn remove_null_from_optional(document: &mut OpenApi) {
    let components = document.components.iter_mut();
    for schema in components.flat_map(|components| components.schemas.values_mut()) {
        if let RefOr::T(Schema::Object(object)) = schema {
            let required = &object.required;
            let optional = object
                .properties
                .iter_mut()
                .filter(|(name, _)| !required.contains(name));
            optional.for_each(|(_, field)| never_null(field));
        }
    }
    let items = document.paths.paths.values_mut();
    let operations = items
        .flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete])
        .flatten();
    for parameter in operations.flat_map(|operation| operation.parameters.iter_mut().flatten()) {
        if let RefOr::T(parameter) = parameter
            && parameter.required != Required::True
        {
            parameter.schema.iter_mut().for_each(never_null);
        }
    }
}

fn never_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => only(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => only(&mut array.schema_type),
        RefOr::T(Schema::OneOf(choice)) => {
            choice.items.retain(|item| !is_null(item));
            if choice.items.len() == 1
                && let Some(left) = choice.items.pop()
            {
                *schema = left;
            }
        }
        _ => {}
    }
}

fn only(kind: &mut SchemaType) {
    if let SchemaType::Array(kinds) = kind {
        kinds.retain(|kind| *kind != Type::Null);
        if let [kind_left] = kinds.as_slice() {
            *kind = SchemaType::Type(kind_left.clone());
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
