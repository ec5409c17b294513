//! Declares query parameters once, for documentation and for reading.

/// Declares a struct of query parameters. Each field has its documentation, its type in the OpenAPI document
/// (`value_type`), and after `=` the function that reads it from a [`Query`](crate::request::query::Query), which collects
/// what is wrong.
macro_rules! query_parameters {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $read:expr ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        $visibility struct $name {
            $( $(#[$field_meta])* pub(crate) $field: $type ),+
        }

        impl $name {
            /// Reads the parameters from a query.
            pub(crate) fn read(query: &mut crate::request::query::Query) -> Self {
                Self { $( $field: $read(query, stringify!($field)) ),+ }
            }
        }
    };
}

pub(crate) use query_parameters;
