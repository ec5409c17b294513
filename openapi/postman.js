// Makes a collection and an environment for Postman: postman.js DOCUMENT FOLDER. See openapi/postman.
//
// The converter makes the collection; four things it has no options for are done here:
// - It invents values for parameters without an example. A request with an invented cursor or If-Match fails, so these
//   parameters are switched off. Its option for that switches off those with an example, too.
// - It keeps the document's order, in which a report is withdrawn before it is read for the last time. Here, reading comes
//   first, and deleting last.
// - It takes the address of the service from the document, which gives `/`: the service does not know its address.
// - It writes no tests.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { convertV2 } = require("openapi-to-postmanv2");

const OPTIONS = { parametersResolution: "Example", folderStrategy: "Tags" };
const DEMO = "http://127.0.0.1:8080";

const [documentFile, folder] = process.argv.slice(2);
const openapi = JSON.parse(fs.readFileSync(documentFile, "utf8"));

/** What a `$ref` refers to, or the value itself. */
function resolve(value) {
    if (value.$ref === undefined) {
        return value;
    }
    return resolve(value.$ref.slice("#/".length).split("/").reduce((part, key) => part[key], openapi));
}

/** The operation that a request of the collection stands for, with the parameters of its path. */
function operationOf(request) {
    const template = "/" + request.url.path.map((part) => part.replace(/^:(.*)$/, "{$1}")).join("/");
    const item = openapi.paths[template];
    const operation = item[request.method.toLowerCase()];
    const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
    return { ...operation, parameters };
}

/** Switches off the parameters of a request that have no example. */
function switchOff(request, operation) {
    for (const parameter of operation.parameters) {
        if (parameter.example !== undefined || parameter.examples !== undefined) {
            continue;
        }
        if (parameter.required) {
            throw new Error(`${operation.operationId} requires ${parameter.name}, which has no example`);
        }
        const places = { query: request.url.query, header: request.header };
        for (const entry of places[parameter.in].filter((entry) => entry.key === parameter.name)) {
            entry.disabled = true;
            entry.value = "";
        }
    }
}

/** The JSON schema of what has those fields of an example that the document requires. Others depend on the data. */
function shape(schema, example) {
    const parts = [resolve(schema), ...(resolve(schema).allOf ?? [])].map(resolve);
    if (Array.isArray(example)) {
        const items = parts.find((part) => part.items)?.items;
        return items && example.length > 0 ? { type: "array", items: shape(items, example[0]) } : { type: "array" };
    }
    if (example === null || typeof example !== "object") {
        return {};
    }
    const required = parts.flatMap((part) => part.required ?? []).filter((name) => name in example);
    const properties = {};
    for (const name of required) {
        const property = shape(parts.find((part) => part.properties?.[name]).properties[name], example[name]);
        if (name === "status" && example.status >= 200 && example.status < 300) {
            // A batch succeeds even if each of its reports is rejected.
            Object.assign(property, { type: "integer", minimum: 200, maximum: 299 });
        }
        if (Object.keys(property).length > 0) {
            properties[name] = property;
        }
    }
    return { type: "object", required, ...(Object.keys(properties).length > 0 && { properties }) };
}

/** What the body of each successful status must have. */
function bodies(operation) {
    const isPage = operation.parameters.some((parameter) => parameter.name === "limit");
    const found = {};
    for (const [status, response] of Object.entries(operation.responses)) {
        if (!status.startsWith("2")) {
            continue;
        }
        const { schema, example } = Object.values(resolve(response).content ?? {})[0] ?? {};
        const body = example instanceof Object ? shape(schema, example) : {};
        for (const [name, list] of Object.entries(body.properties ?? {})) {
            if (isPage && list.type === "array" && example[name].length > 0) {
                // The request finds something, as the example did.
                list.minItems = 1;
            }
        }
        found[status] = body;
    }
    return found;
}

/** The script that tests the response of a request. */
function tests(operation) {
    const expected = bodies(operation);
    const lines = [
        `const bodies = ${JSON.stringify(expected)};`,
        `pm.test("The status is ${Object.keys(expected).join(" or ")}", () => {`,
        "    pm.expect(Object.keys(bodies)).to.include(String(pm.response.code));",
        "});",
    ];
    if (Object.values(expected).some((body) => body.type !== undefined)) {
        const ndjson = Object.values(operation.responses).some((one) => resolve(one).content?.["application/x-ndjson"]);
        lines.push(
            'pm.test("The body has the fields of the example", () => {',
            `    const texts = ${ndjson ? 'pm.response.text().trim().split("\\n")' : "[pm.response.text()]"};`,
            "    texts.forEach((text) => pm.expect(JSON.parse(text)).to.have.jsonSchema(bodies[pm.response.code] ?? false));",
            "});",
        );
    }
    return { listen: "test", script: { type: "text/javascript", exec: lines } };
}

/** When a request, or a folder of requests, has its turn. */
function turn(item) {
    return item.item ? Math.max(...item.item.map(turn)) : { GET: 0, DELETE: 2 }[item.request.method] ?? 1;
}

function write(name, value) {
    fs.writeFileSync(path.join(folder, name), JSON.stringify(value, null, 2) + "\n");
}

function finish(collection) {
    for (const tag of collection.item) {
        for (const item of tag.item) {
            const operation = operationOf(item.request);
            [item.request, ...item.response.map((response) => response.originalRequest)].forEach((request) =>
                switchOff(request, operation),
            );
            item.event = [tests(operation)];
        }
        tag.item.sort((one, other) => turn(one) - turn(other));
    }
    collection.item.sort((one, other) => turn(one) - turn(other));
    collection.variable = [{ key: "baseUrl", value: DEMO }];
    write("tonghop.postman_collection.json", collection);
    write("tonghop.postman_environment.json", {
        name: openapi.info.title,
        values: [
            { key: "baseUrl", value: DEMO, type: "default", enabled: true },
            { key: "bearerToken", value: "", type: "secret", enabled: true },
        ],
        _postman_variable_scope: "environment",
    });
}

convertV2({ type: "json", data: openapi }, OPTIONS, (error, conversion) => {
    if (error || !conversion.result) {
        throw error ?? new Error(conversion.reason);
    }
    finish(conversion.output[0].data);
});
