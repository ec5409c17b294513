// Compares what the page shows with the examples of the document.

/** The ids of the examples, which every demonstration has. */
const SUBMISSION = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11";
const KEY = "8kQ2vY1c";

const VARYING_FIELDS = ["last_used_at", "aggregated_at", "version", "next_after", "next_cursor", "created_by"];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const CURSOR = /^[0-9a-f]{12,}$/;

/** A value without what differs from one demonstration to the next, as in tests/tests/documentation/examples.rs. */
function mask(value) {
    if (typeof value === "string") {
        return maskText(value);
    }
    if (Array.isArray(value)) {
        return value.map(mask);
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    const masked = Object.entries(value).map(([name, field]) => {
        const isOtherKey = name === "id" && typeof field === "string" && field.length === 8 && field !== KEY;
        return [name, isOtherKey || VARYING_FIELDS.includes(name) ? "…" : mask(field)];
    });
    return Object.fromEntries(masked);
}

/** The same for the words of a text. */
function maskText(text) {
    return text.replace(/[\p{Alphabetic}\p{Number}\-:._+]+/gu, (word) => {
        const isOtherId = UUID.test(word) && word !== SUBMISSION;
        return isOtherId || TIME.test(word) || CURSOR.test(word) || word.startsWith("th_") ? "…" : word;
    });
}

/** How a value differs from the one of the document, with the place of each difference. */
function differences(shown, expected, place) {
    const isObject = (value) => value !== null && typeof value === "object";
    if (!isObject(shown) || !isObject(expected) || Array.isArray(shown) !== Array.isArray(expected)) {
        const isSame = shown === expected;
        return isSame ? [] : [`${place} is ${brief(shown)}, in the document ${brief(expected)}`];
    }
    const names = new Set([...Object.keys(expected), ...Object.keys(shown)]);
    return [...names].flatMap((name) => differences(shown[name], expected[name], `${place}/${name}`));
}

function brief(value) {
    const text = value === undefined ? "missing" : JSON.stringify(value);
    return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** How a shown body differs from what the document says of the response. */
export function compareBody(body, mediaType, example) {
    if (mediaType === undefined) {
        return body === null ? [] : [`the page shows a body: ${brief(body)}`];
    }
    if (body === null) {
        return ["the page shows no body"];
    }
    switch (mediaType) {
        case "text/html":
            return /^<!doctype html>/i.test(body) ? [] : [`the body is no page: ${brief(body)}`];
        case "text/csv":
        case "text/event-stream":
            return compareText(body, example);
        case "application/x-ndjson":
            return compareLine(body, example);
        default:
            return compareJson(body, example);
    }
}

function compareText(body, example) {
    if (example === undefined) {
        return ["the document has no example"];
    }
    // A browser shows no byte order mark, and the page may trim what it shows.
    const expected = maskText(example.replace(/^\uFEFF/, "")).trimEnd();
    const shown = maskText(body.replace(/^\uFEFF/, ""));
    if (shown.startsWith(expected)) {
        return [];
    }
    return [`the body begins ${brief(shown.slice(0, expected.length))}, in the document ${brief(expected)}`];
}

/** The example is of the first of several lines. */
function compareLine(body, example) {
    const [line, next] = body.split("\n");
    return next ? compareJson(line, example) : ["the page shows fewer than two lines"];
}

function compareJson(body, example) {
    let value;
    try {
        value = JSON.parse(body);
    } catch (error) {
        return [`the body is no JSON (${error.message}): ${brief(body)}`];
    }
    return example === undefined ? [] : differences(mask(value), mask(example), "body");
}
