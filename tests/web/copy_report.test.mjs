import { beforeEach, expect, test, vi } from "vitest";
import { copyReport } from "../../web/modules/copy_report.mjs";
import { api } from "./host/api.mjs";
import { app } from "./host/app.mjs";

const said = [];
let lets;

beforeEach(() => {
  said.length = 0;
  lets = true;
  app.extensionManager = { toast: { add: ({ severity, summary }) => said.push([severity, summary]) } };
  api.fetchApi = vi.fn(async () => new Response("Python: 3.12"));
  document.execCommand = () => lets;
});

test("a report is copied, in a page without a clipboard of its own too", async () => {
  await copyReport.function();
  expect(said).toEqual([["success", "Report copied"]]);
});

test("a report that was made too long after the click is copied by the next one", async () => {
  lets = false;
  await copyReport.function();
  expect(said).toEqual([["warn", "The report is ready"]]);
  lets = true;
  await copyReport.function();
  expect(said[1]).toEqual(["success", "Report copied"]);
  expect(api.fetchApi).toHaveBeenCalledTimes(1);
  await copyReport.function();
  expect(api.fetchApi).toHaveBeenCalledTimes(2);
});

test("where a page may never copy, the way around is said", async () => {
  lets = false;
  await copyReport.function();
  await copyReport.function();
  expect(said[1]).toEqual(["error", "The report could not be copied"]);
});
