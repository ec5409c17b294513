// Does what a reader of the interactive page does, in a browser: see README.md.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { compareBody } from "./examples.mjs";
import { conclude, count, record } from "./report.mjs";
import { observe } from "./traffic.mjs";

const service = new URL(setting("TONGHOP_URL"));
const key = setting("TONGHOP_KEY");
const chromium = program(setting("TEST_CHROMIUM"));
const puppeteer = createRequire(join(setting("BROWSER_TOOLS"), "package.json"))("puppeteer-core");

const SMALL_SCREEN = { width: 360, height: 800 };
const FIRST_VISIT_BYTES = 600_000;
const LATER_VISIT_BYTES = 5_000;
const WAIT_MS = 20_000;
const CLOSE_MS = 3_000;
const DEADLINE_MS = 300_000;

let browser;
let openapi;
let executed = 0;
let isOver = false;

function setting(name) {
    const value = process.env[name];
    if (!value) {
        console.error(`${name} is not set: see README.md`);
        process.exit(2);
    }
    return value;
}

/** The path of a program that is named or in the PATH. */
function program(name) {
    const candidates = name.includes("/") ? [name] : process.env.PATH.split(delimiter).map((at) => join(at, name));
    return candidates.find((candidate) => existsSync(candidate)) ?? name;
}

/** Calls a step and records its failures, which it returns or throws. */
async function check(name, step) {
    if (isOver) {
        return;
    }
    const start = performance.now();
    let reasons;
    try {
        reasons = await step();
    } catch (error) {
        reasons = [error.message];
    }
    if (isOver) {
        return;
    }
    record(name, reasons, performance.now() - start);
}

async function openBrowser(profile) {
    browser = await puppeteer.launch({
        executablePath: chromium,
        userDataDir: profile,
        // With a pipe, the browser ends with this process, however that ends.
        pipe: true,
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
        args: ["--no-sandbox", "--disable-dev-shm-usage"],
        defaultViewport: SMALL_SCREEN,
        timeout: WAIT_MS,
        protocolTimeout: WAIT_MS,
    });
    const page = (await browser.pages())[0] ?? (await browser.newPage());
    page.setDefaultTimeout(WAIT_MS);
    const errors = [];
    page.on("console", (message) => {
        if (message.type() === "error") {
            errors.push(`console: ${message.text()} ${message.location().url ?? ""}`);
        }
    });
    page.on("pageerror", (error) => errors.push(`uncaught: ${error.message}`));
    return { page, errors, traffic: await observe(page) };
}

/** Opens the page and waits until it shows all operations and is at rest. */
async function visit({ page }, operations) {
    await page.goto(new URL("/docs", service).href);
    await page.waitForSelector(".opblock");
    await page.waitForNetworkIdle({ idleTime: 500 });
    const shown = await page.$$eval(".opblock", (blocks) => blocks.length);
    return shown === operations.length ? [] : [`the page shows ${shown} of ${operations.length} operations`];
}

/** The operations of the document: those that read come first, and those that delete last. */
async function readOperations() {
    const response = await fetch(new URL("/openapi.json", service), { signal: AbortSignal.timeout(WAIT_MS) });
    openapi = await response.json();
    const order = ["get", "post", "delete"];
    const operations = Object.entries(openapi.paths).flatMap(([path, item]) =>
        Object.entries(item).map(([method, operation]) => ({ path, method, ...operation })),
    );
    const other = operations.find(({ method }) => !order.includes(method));
    if (other !== undefined) {
        throw new Error(`${other.method} ${other.path} is no method that this test knows`);
    }
    return operations.sort((one, two) => order.indexOf(one.method) - order.indexOf(two.method));
}

/** Waits until an element is visible and at rest, and clicks on it. */
const click = (page, selector) => page.locator(selector).setTimeout(WAIT_MS).click();

/** What cannot be read on a small screen: parts that make the page scroll sideways, or that it cuts off. */
async function tooWide(page, when) {
    const reasons = await page.evaluate(() => {
        const limit = window.innerWidth;
        const { scrollWidth } = document.scrollingElement;
        const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
        const describe = (element) => {
            const names = [...element.classList].map((name) => `.${name}`).join("");
            return `${element.localName}${names} "${element.textContent.trim().slice(0, 40)}"`;
        };
        const outside = ({ left, right, width, height }) => width > 1 && height > 1 && (right > limit + 1 || left < -1);
        const visible = { visibilityProperty: true, opacityProperty: true };
        const seen = new Set();
        const visitNode = (node) => {
            if (node instanceof Text) {
                const range = document.createRange();
                range.selectNode(node);
                if (node.data.trim() !== "" && [...range.getClientRects()].some(outside)) {
                    seen.add(describe(node.parentElement));
                }
            } else if (node instanceof Element && node.checkVisibility(visible)) {
                const isScroller = node !== document.body && scrolls(node);
                const isControl = node.matches("input, select, textarea, button, img");
                if ((isScroller || isControl) && outside(node.getBoundingClientRect())) {
                    seen.add(describe(node));
                }
                // What lies in a part that scrolls can be reached.
                if (!isScroller && !(node instanceof SVGElement)) {
                    node.childNodes.forEach(visitNode);
                }
            }
        };
        visitNode(document.body);
        const cutOff = [...seen].slice(0, 5).map((part) => `is cut off at ${limit} px: ${part}`);
        return scrollWidth > limit ? [`scrolls sideways: ${scrollWidth} of ${limit} px`, ...cutOff] : cutOff;
    });
    return reasons.map((reason) => `the page ${when} ${reason}`);
}

async function authorize(page) {
    await click(page, ".auth-wrapper .authorize");
    await page.locator(".auth-container input").fill(key);
    await click(page, ".auth-container .btn.authorize");
    await page.waitForFunction(() => document.querySelector(".auth-container")?.textContent.includes("Authorized"));
    const reasons = await tooWide(page, "with the dialogue of keys");
    await click(page, ".auth-container .btn-done");
    await page.waitForSelector(".auth-wrapper .authorize.locked");
    const stored = await page.evaluate(() =>
        JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    return stored.includes(key) ? [...reasons, "the page stores the key"] : reasons;
}

/** The response that the page shows of an operation. */
function shownResponse(block) {
    const status = block.querySelector(".live-responses-table .response .response-col_status");
    if (status === null) {
        return null;
    }
    const details = block.querySelector(".live-responses-table .response .response-col_description");
    const heading = [...details.querySelectorAll("h5")].find((each) => each.textContent === "Response body");
    // A response that the page only offers as a file has no such part.
    const body = heading?.parentElement.querySelector("pre")?.textContent ?? null;
    return { status: status.textContent.match(/\d+/)?.[0] ?? "", body, details: details.textContent };
}

/** Executes an operation as the page fills it in, and compares the shown response with the document. */
async function execute(page, operation) {
    const block = `#operations-${operation.tags[0]}-${operation.operationId}`;
    await click(page, `${block} .opblock-summary-control`);
    await page.waitForSelector(`${block} .try-out__btn`);
    const reasons = await tooWide(page, "with the operation");
    await click(page, `${block} .try-out__btn`);
    await click(page, `${block} .execute`);
    await page.waitForSelector(`${block} .live-responses-table .response .response-col_status`);
    const { status, body, details } = await page.$eval(block, shownResponse);
    executed += 1;
    reasons.push(...(await tooWide(page, "with the response")));
    await click(page, `${block} .opblock-summary-control`);
    const response = operation.responses[status];
    if (!/^2\d\d$/.test(status) || response === undefined) {
        const given = Object.keys(operation.responses).filter((each) => each.startsWith("2"));
        return [...reasons, `the status is ${status} instead of ${given.join(" or ")}: ${details.slice(0, 500)}`];
    }
    const [mediaType, content] = Object.entries(response.content ?? {})[0] ?? [];
    const example = operation.path === "/openapi.json" ? openapi : content?.example;
    return [...reasons, ...compareBody(body, mediaType, example)];
}

async function head(page) {
    const { title, lang, viewport } = await page.evaluate(() => ({
        title: document.title,
        lang: document.documentElement.lang,
        viewport: document.querySelector("meta[name=viewport]")?.content ?? "",
    }));
    return [
        ...(title.trim() === "" ? ["the page has no title"] : []),
        ...(/^(en|vi)$/.test(lang) ? [] : [`lang is "${lang}"`]),
        ...(viewport.includes("width=device-width") ? [] : [`the viewport is "${viewport}"`]),
    ];
}

/** What a visit must not do: ask other hosts, or report errors. */
function misbehaviour({ errors, traffic }) {
    const local = ["data:", "blob:"];
    const elsewhere = traffic.all().filter(({ url }) => {
        const { protocol, host } = new URL(url);
        return !local.includes(protocol) && host !== service.host;
    });
    return [...elsewhere.map(({ url }) => `requested ${url}`), ...errors];
}

function describe(entries) {
    const sent = entries.filter(({ bytes, statuses }) => bytes > 0 || statuses.length > 0);
    return sent.map(({ url, bytes }) => `${url} (${bytes} bytes)`).join(", ");
}

async function firstVisit(profile, operations) {
    const visited = await openBrowser(profile);
    const { page, traffic } = visited;
    await check("first visit", () => visit(visited, operations));
    const bytes = traffic.bytes();
    const isLittle = bytes > 0 && bytes <= FIRST_VISIT_BYTES;
    await check(`first visit transfers ${bytes} bytes`, () =>
        isLittle ? [] : [`at most ${FIRST_VISIT_BYTES} allowed: ${describe(traffic.all())}`],
    );
    await check("title, language and viewport", () => head(page));
    await check("small screen", () => tooWide(page, "as loaded"));
    await check("hosts and errors of the first visit", () => misbehaviour(visited));
    await browser.close();
}

async function secondVisit(profile, operations) {
    const visited = await openBrowser(profile);
    const { page, traffic } = visited;
    await check("second visit", () => visit(visited, operations));
    const bytes = traffic.bytes();
    await check(`second visit transfers ${bytes} bytes`, () => [
        ...(bytes <= LATER_VISIT_BYTES ? [] : [`at most ${LATER_VISIT_BYTES} allowed: ${describe(traffic.all())}`]),
        ...traffic.transferred().map((entry) => `transferred again: ${describe([entry])}`),
    ]);
    await check("authorize", () => authorize(page));
    for (const operation of operations) {
        const name = `${operation.method.toUpperCase()} ${operation.path} ${operation.operationId}`;
        await check(name, () => execute(page, operation));
    }
    await check(`executed ${executed} operations`, () =>
        executed === operations.length ? [] : [`the document has ${operations.length}`],
    );
    await check("hosts and errors of the second visit", () => misbehaviour(visited));
    await browser.close();
}

/** Lets the browser remove its temporary files, and ends it if it does not. */
async function endBrowser() {
    const process = browser?.process();
    await Promise.race([browser?.close().catch(() => {}), setTimeout(CLOSE_MS, undefined, { ref: false })]);
    process?.kill("SIGKILL");
}

async function run() {
    const profile = await mkdtemp(join(tmpdir(), "tonghop-browser."));
    const deadline = new Promise((_, reject) => {
        const late = () => reject(new Error(`not done after ${DEADLINE_MS / 1000} s`));
        setTimeout(DEADLINE_MS, undefined, { ref: false }).then(late);
        for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
            process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
        }
    });
    const visits = async () => {
        const operations = await readOperations();
        await firstVisit(profile, operations);
        await secondVisit(profile, operations);
    };
    try {
        await Promise.race([visits(), deadline]);
    } catch (error) {
        record("the whole", [error.cause?.message ?? error.message], performance.now());
    } finally {
        isOver = true;
        await endBrowser();
        await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
    conclude(executed);
    // A check that was interrupted may still wait.
    process.exit(count() === 0 ? 0 : 1);
}

await run();
