//! Lists of header values with weights.

/// An element of a list such as `vi;q=0.8`, and its weight in thousandths (RFC 9110, section 12.4.2).
pub(crate) fn weighted(element: &str) -> (&str, u16) {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts
        .filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .next()
        .and_then(|weight| weight.parse::<f32>().ok())
        .unwrap_or(1.0);
    (name, (weight.clamp(0.0, 1.0) * 1000.0) as u16)
}
