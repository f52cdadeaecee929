// The main job on the real local model, as a new user does it: the shipped template of the demo project. The model is
// small, so this checks the structure of its output, never the wording.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

import { ADMIN, expect, fillSignIn, test } from "../fixtures";
import { Rest } from "../fixtures/rest";

const cache =
  process.env.TROUPE_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), ".cache"), "troupe");

test.skip(!existsSync(path.join(cache, "local-model.json")), "the local model is not installed: `make setup` does it");
test.slow();

test("Code Review runs on the local model, live, step after step (A1, A3, B6, C4)", async ({ page, product }) => {
  const { email, name, password } = ADMIN;
  product.command(["user", "add", email, "--admin", "--name", name, "--password-stdin"], password);
  const rest = new Rest(product.url, product.command(["token", "create", "--user", email, "--name", "end2end"]));
  const launched = await rest.post<{ run: number; taskId: string }>(
    "/projects/demo/templates/code-review/execute",
    {
      input: { code: "fn add(a: i32, b: i32) -> i32 { a - b }", language: "Rust" },
      roleAssignments: { "Analyze Code": "senior_reviewer", "Generate Report": "report_bot" },
    },
  );
  await page.goto(`/sign-in?next=/p/demo/conversations/${launched.taskId}`);
  await fillSignIn(page, password);

  const response = page.getByRole("article", { name: "Response" });
  const status = response.getByRole("region", { name: `Status of run ${launched.run}`, exact: true });
  // Tokens appear while the run is live: the live text grows.
  const live = status.getByRole("region", { name: "Live text" });
  await expect(live).toHaveText(/\S{3,}/, { timeout: 90_000 });
  const early = (await live.textContent())?.length ?? 0;
  await expect.poll(async () => (await live.textContent())?.length ?? 0, { timeout: 60_000 }).not.toBe(early);

  await expect(status.locator("summary").first()).toContainText("Completed", { timeout: 170_000 });
  await expect(response).toHaveCount(1);
  const run = await rest.get<{
    status: string;
    output: string;
    usage: { inputTokens: number; outputTokens: number };
    steps: { name: string; status: string; output: string; role: { key: string; reason: string } }[];
  }>(`/projects/demo/runs/${launched.run}`);
  expect(run.status).toBe("completed");
  expect(run.steps.map(({ name, status, role }) => [name, status, role.key, role.reason])).toEqual([
    ["Analyze Code", "completed", "senior_reviewer", "assigned"],
    ["Generate Report", "completed", "report_bot", "assigned"],
    ["Suggest Improvements", "completed", "general_worker", "general_worker"],
  ]);
  for (const step of run.steps) expect(step.output.trim().length).toBeGreaterThan(0);
  expect(run.usage.outputTokens).toBeGreaterThan(0);

  await page.reload();
  await expect(status.locator("summary").first()).toContainText("Completed");
});
