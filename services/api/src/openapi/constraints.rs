//! Constraints of bodies that utoipa's attributes cannot express.

use std::collections::BTreeMap;

use tonghop_domain::MAX_VALUE;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{Number, PartialSchema, ToSchema};

use crate::keys::body::NewKeyBody;
use crate::openapi::text_types::{
    CategoryText, FormText, FreeText, IndicatorText, ItemText, LabelText, PeriodText, UnitText,
};
use crate::submissions::body::NewSubmission;
use crate::submissions::figure::{CellBody, FigureBody, ValueBody};

/// Adds the constraints to the schemas of a document.
pub(crate) fn add_constraints(document: &mut OpenApi) {
    let Some(components) = &mut document.components else {
        return;
    };
    let schemas = &mut components.schemas;
    if let Some(submission) = object::<NewSubmission>(schemas) {
        set_format::<FormText>(submission, "form");
        set_format::<PeriodText>(submission, "period");
        set_format::<UnitText>(submission, "unit");
        set_format::<FreeText>(submission, "note");
    }
    if let Some(figure) = object::<FigureBody>(schemas) {
        set_format::<IndicatorText>(figure, "indicator");
        set_format::<FreeText>(figure, "text");
        set_item_format::<ItemText>(figure, "items");
    }
    if let Some(cell) = object::<CellBody>(schemas) {
        constrain_cell(cell);
    }
    if let Some(RefOr::T(Schema::OneOf(value))) = schemas.get_mut(ValueBody::name().as_ref()) {
        constrain_value(value);
    }
    if let Some(key) = object::<NewKeyBody>(schemas) {
        set_format::<UnitText>(key, "unit");
        set_format::<LabelText>(key, "label");
    }
}

/// The schema of a body, if it is an object.
fn object<T: ToSchema>(schemas: &mut BTreeMap<String, RefOr<Schema>>) -> Option<&mut Object> {
    match schemas.get_mut(T::name().as_ref()) {
        Some(RefOr::T(Schema::Object(object))) => Some(object),
        _ => None,
    }
}

/// Gives a field the format of a text type, and keeps its description. (`value_type` with `inline` loses it.)
fn set_format<T: PartialSchema>(body: &mut Object, field: &str) {
    if let Some(RefOr::T(Schema::Object(text))) = body.properties.get_mut(field) {
        copy_format::<T>(text);
    }
}

/// Gives the items of a list the format of a text type.
fn set_item_format<T: PartialSchema>(body: &mut Object, field: &str) {
    if let Some(RefOr::T(Schema::Array(list))) = body.properties.get_mut(field)
        && let ArrayItems::RefOrSchema(items) = &mut list.items
        && let RefOr::T(Schema::Object(text)) = items.as_mut()
    {
        copy_format::<T>(text);
    }
}

fn copy_format<T: PartialSchema>(text: &mut Object) {
    if let RefOr::T(Schema::Object(format)) = T::schema() {
        text.pattern = format.pattern;
        text.max_length = format.max_length;
        text.enum_values = format.enum_values;
    }
}

/// A cell has the category of at least one dimension.
fn constrain_cell(cell: &mut Object) {
    if let Some(RefOr::T(Schema::Object(by))) = cell.properties.get_mut("by")
        && let Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(category)))) =
            by.additional_properties.as_deref_mut()
    {
        copy_format::<CategoryText>(category);
        by.min_properties = Some(1);
    }
}

/// A number is a whole number within the bounds of a figure.
fn constrain_value(value: &mut OneOf) {
    for choice in &mut value.items {
        if let RefOr::T(Schema::Object(number)) = choice
            && number.schema_type == SchemaType::Type(Type::Integer)
        {
            number.minimum = Some(Number::Int(-MAX_VALUE as isize));
            number.maximum = Some(Number::Int(MAX_VALUE as isize));
        }
    }
}
