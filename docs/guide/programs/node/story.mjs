// Sends a report, corrects it, handles errors, reads a total and follows changes. Node.js 18 or newer, no dependencies.
//
// TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const ABOUT = { form: "ngay-30-7", period: "2021-07" };
const INDICATOR = "TT.PT";
const ATTEMPTS = 5;
const TIMEOUT_MS = 30_000;
const LONGEST_WAIT_S = 60;

class Failure extends Error {}

function setting(name) {
  if (!process.env[name]) throw new Failure(`set ${name}`);
  return process.env[name];
}

/** Sends one request and reads the whole response; throws if there is none in time. */
async function attemptOnce(url, options) {
  const response = await fetch(url, { ...options, redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  const answer = { status: response.status, headers: response.headers, json: {} };
  try {
    answer.json = JSON.parse(text || "{}");
  } catch {
    answer.json = { detail: "the body is not JSON" }; // a proxy that answers itself
    if (answer.status < 400) answer.status = 502;
  }
  return answer;
}

/** Sends a request and retries it if it may succeed later. Returns an answer with one of the accepted statuses. */
async function call(method, path, { body, headers = {}, accept = [200] } = {}) {
  const all = { Authorization: `Bearer ${key}`, Accept: "application/json", ...headers };
  if (body) all["Content-Type"] = "application/json";
  const options = { method, headers: all, body: body && JSON.stringify(body) };
  for (let attempt = 1; ; attempt += 1) {
    let reason;
    let wanted = 0;
    try {
      const answer = await attemptOnce(url + path, options);
      if (accept.includes(answer.status)) return answer;
      reason = `${answer.status} ${answer.json.code ?? ""}: ${answer.json.detail}`;
      if (![408, 429, 502, 503, 504].includes(answer.status)) {
        throw new Failure(`${method} ${path}: ${reason} (request ${answer.headers.get("X-Request-Id")})`);
      }
      wanted = Number(answer.headers.get("Retry-After")) || 0;
    } catch (error) {
      if (error instanceof Failure) throw error;
      reason = error.cause?.message ?? error.message; // no connection, a timeout, or the connection was lost
    }
    if (attempt === ATTEMPTS) throw new Failure(`${method} ${path}: gave up after ${ATTEMPTS} attempts: ${reason}`);
    const wait = Math.min(Math.max(wanted, 2 ** (attempt - 1)), LONGEST_WAIT_S) + Math.random();
    console.log(`  attempt ${attempt} failed (${reason}); waiting ${wait.toFixed(1)} s`);
    await sleep(wait * 1000);
  }
}

/** Sends the whole report. Every attempt of one request has the same Idempotency-Key. */
function send(figures, { headers = {}, accept = [200, 201] } = {}) {
  const body = { ...ABOUT, unit, figures };
  return call("POST", "/v1/submissions", { body, headers: { "Idempotency-Key": randomUUID(), ...headers }, accept });
}

/** Corrects the revision with this ETag. If another revision is current, reads it and decides again. */
async function correct(value, firstTag) {
  let tag = firstTag;
  for (let turn = 0; turn < 3; turn += 1) {
    const headers = { "If-Match": tag, Prefer: "wait=5" };
    const answer = await send([{ indicator: INDICATOR, value }], { headers, accept: [200, 201, 412] });
    if (answer.status !== 412) {
      console.log(`corrected: revision ${answer.json.revision}, ${INDICATOR} = ${value}`);
      return answer.json.revision;
    }
    const current = await call("GET", self);
    tag = current.headers.get("ETag");
    console.log(`conflict: revision ${current.json.revision} is current; sending the correction for it`);
  }
  throw new Failure("the report was corrected by others three times");
}

/** Reads a total until it contains every report. */
async function settledTotal(path) {
  for (let turn = 0; turn < 20; turn += 1) {
    const answer = await call("GET", path);
    if (answer.json.freshness.pending === 0) return answer;
    await sleep(500);
  }
  throw new Failure("the total is not up to date after 10 s");
}

/** Follows the changes until a revision appears. */
async function followUntil(revision, position) {
  let after = position;
  for (let turn = 0; turn < 20; turn += 1) {
    const { json: page } = await call("GET", `/v1/changes?after=${after}`);
    after = page.next_after; // keep it: the next run of a real program goes on from here
    for (const change of page.changes) {
      console.log(`change: ${change.kind} of ${change.unit}, revision ${change.revision}`);
    }
    if (page.changes.some((change) => change.revision === revision)) return;
    if (!page.more) await sleep(500);
  }
  throw new Failure("the change did not appear within 10 s");
}

let url, key, unit, self;
try {
  [url, key] = [setting("TONGHOP_URL").replace(/\/$/, ""), setting("TONGHOP_KEY")];
  unit = (await call("GET", "/v1/me")).json.key.unit;
  console.log(`unit ${unit}`);
  const after = (await call("GET", "/v1/changes?after=latest")).json.next_after;

  const first = await send([{ indicator: INDICATOR, value: 100 }]);
  self = first.json.links.self;
  const word = first.status === 201 ? "recorded" : "unchanged";
  console.log(`${word}: revision ${first.json.revision}, ${INDICATOR} = 100`);

  const tag = first.headers.get("ETag");
  await correct(101, tag);
  const revision = await correct(102, tag); // the ETag is out of date by now

  const wrong = [{ indicator: INDICATOR, value: -1 }, { indicator: "NO.SUCH", value: 1 }];
  const rejected = await send(wrong, { accept: [422] });
  for (const error of rejected.json.errors ?? []) console.log(`rejected: ${error.pointer}: ${error.detail}`);

  const path = `/v1/totals?${new URLSearchParams({ ...ABOUT, unit, indicator: INDICATOR })}`;
  const total = await settledTotal(path);
  console.log(`total: ${INDICATOR} = ${total.json.totals[0].value}, as of ${total.json.freshness.as_of}`);
  const headers = { "If-None-Match": total.headers.get("ETag") };
  const again = await call("GET", path, { headers, accept: [200, 304] });
  console.log(`total: ${again.status}, ${again.status === 304 ? "not modified" : "changed meanwhile"}`);

  await followUntil(revision, after);
  console.log("done");
} catch (error) {
  console.error(`error: ${error instanceof Failure ? error.message : error.stack}`);
  process.exitCode = 1;
}
