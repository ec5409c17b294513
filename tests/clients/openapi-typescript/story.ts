/** What an integrator does first, with the types that openapi-typescript generates. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Figure = components["schemas"]["Figure"];
type NewSubmission = components["schemas"]["NewSubmission"];

/** Fails to compile unless a type is known: `any` and `unknown` accept everything. */
type Known<T> = unknown extends T ? never : T;
const _value: Known<NonNullable<Figure["value"]>> = 1;
const _cell: Known<NonNullable<Figure["breakdowns"]>[number]["by"]> = { sex: "nu" };

const client = createClient<paths>({
  baseUrl: process.env["TONGHOP_URL"] ?? "",
  headers: { Authorization: `Bearer ${process.env["TONGHOP_KEY"]}` },
});
const about = { form: "ngay-30-7", period: "2021-07" };

function report(unit: string, figures: Figure[]): NewSubmission {
  return { ...about, unit, figures };
}

async function submitAndCorrect(): Promise<void> {
  const figures: Figure[] = [
    { indicator: "TT.PT", value: 63 },
    { indicator: "TT.HOTLINE", value: true },
    { indicator: "TT.PANO", state: "done_no_number" },
    { indicator: "TT.KHAUHIEU", items: ["Chung tay phòng, chống mua bán người"] },
    { indicator: "NN.TN", value: 1, breakdowns: [{ by: { sex: "nu", age: "16_17" }, value: 1 }] },
  ];
  // The ETag changes once more when totals contain the report.
  const waiting = { header: { Prefer: "wait=20" } };
  const first = await client.POST("/v1/submissions", { params: waiting, body: report("866", figures) });
  assert.equal(first.response.status, 201);
  assert.ok(first.data);
  assert.equal(first.data.revision, 1);

  const params = { path: { id: first.data.id } };
  const read = await client.GET("/v1/submissions/{id}", { params });
  assert.ok(read.data);
  const cell = read.data.figures.find((figure) => figure.indicator === "NN.TN")?.breakdowns?.[0];
  assert.deepEqual(cell, { by: { age: "16_17", sex: "nu" }, value: 1 });
  const tag = read.response.headers.get("ETag") ?? "";
  const again = await client.GET("/v1/submissions/{id}", {
    params: { ...params, header: { "If-None-Match": tag } },
  });
  assert.equal(again.response.status, 304);

  const corrected = read.data.figures.map((figure) =>
    figure.indicator === "TT.PT" ? { ...figure, value: 64 } : figure,
  );
  const body = { ...report("866", corrected), note: "one more broadcast" };
  const header = { "If-Match": tag };
  const second = await client.POST("/v1/submissions", { params: { header }, body });
  assert.equal(second.data?.revision, 2);
  const late = report("866", [{ indicator: "TT.PT", value: 65 }]);
  const conflict = await client.POST("/v1/submissions", { params: { header }, body: late });
  assert.equal(conflict.response.status, 412);
  assert.equal(conflict.error?.code, "revision-conflict");
}

async function meetFieldErrors(): Promise<void> {
  const wrong = report("867", [
    { indicator: "TT.PT", value: -1 },
    { indicator: "NO.SUCH", value: 1 },
  ]);
  const refused = await client.POST("/v1/submissions", { body: wrong });
  assert.equal(refused.response.status, 422);
  assert.equal(refused.error?.code, "invalid-submission");
  const errors = refused.error.errors?.map((error) => [error.pointer, error.code]);
  assert.deepEqual(errors, [
    ["/figures/0/value", "below-minimum"],
    ["/figures/1/indicator", "unknown-indicator"],
  ]);
}

async function sendBatch(): Promise<void> {
  const submissions = [
    report("867", [{ indicator: "TT.PT", value: 10 }]),
    report("868", [{ indicator: "TT.PT", value: -1 }]),
    report("869", [{ indicator: "TT.PT", value: 20 }]),
  ];
  const answer = await client.POST("/v1/submissions/batch", { body: { submissions } });
  assert.ok(answer.data);
  assert.deepEqual(answer.data.results.map((result) => result.status), [201, 422, 201]);
  assert.equal(answer.data.results[1]?.problem?.errors?.[0]?.code, "below-minimum");
}

async function followPages(): Promise<void> {
  const units: string[] = [];
  let cursor: string | undefined;
  do {
    const query = { ...about, limit: 1, ...(cursor === undefined ? {} : { cursor }) };
    const page = await client.GET("/v1/submissions", { params: { query } });
    assert.ok(page.data);
    units.push(...page.data.submissions.map((submission) => submission.unit));
    cursor = page.data.next_cursor ?? undefined;
  } while (cursor !== undefined);
  assert.deepEqual(units.sort(), ["866", "867", "869"]);
}

async function readTotal(): Promise<void> {
  const query = { ...about, unit: "87" };
  for (let turn = 0; turn < 100; turn += 1) {
    const { data } = await client.GET("/v1/totals", { params: { query } });
    assert.ok(data);
    if (data.freshness.pending === 0) {
      const row = (indicator: string) => data.totals.find((row) => row.indicator === indicator);
      assert.equal(row("TT.PT")?.value, 64 + 10 + 20);
      assert.deepEqual(row("NN.TN")?.breakdowns?.[0]?.by, { age: "16_17", sex: "nu" });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("the total does not contain the reports");
}

async function followChanges(): Promise<void> {
  const changes = async (after: string) => {
    const { data } = await client.GET("/v1/changes", { params: { query: { after } } });
    assert.ok(data);
    return data;
  };
  let after = (await changes("latest")).next_after;
  await client.POST("/v1/submissions", { body: report("870", [{ indicator: "TT.PT", value: 1 }]) });
  for (let turn = 0; turn < 100; turn += 1) {
    const page = await changes(after);
    const change = page.changes.find((change) => change.kind === "submission");
    if (change !== undefined) {
      assert.deepEqual([change.unit, change.revision, change.status], ["870", 1, "accepted"]);
      assert.ok(change.submission);
      const path = { id: change.submission, revision: 1 };
      const { data } = await client.GET("/v1/submissions/{id}/revisions/{revision}", { params: { path } });
      assert.equal(data?.figures[0]?.value, 1);
      return;
    }
    after = page.next_after;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("the change does not appear");
}

await submitAndCorrect();
await meetFieldErrors();
await sendBatch();
await followPages();
await readTotal();
await followChanges();
console.log("the story ends");
