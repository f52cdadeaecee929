// Comparisons of runs: launched together, followed step by step, judged, and totalled per role (C7).

import type { Page } from "@playwright/test";

import { awake, expect, PROJECT, signIn, test } from "../fixtures";
import { isClean } from "../fixtures/clean";

const TEMPLATE = {
  apiVersion: "troupe/v1",
  key: "pair",
  name: "Pair",
  input: { type: "object", required: ["topic"], properties: { topic: { type: "string", title: "Topic" } } },
  steps: [
    { name: "Outline", prompt: "Outline {{ context.input.topic }}" },
    { name: "Rate", prompt: "Rate {{ context.Outline }}", outputSchema: { type: "object" } },
  ],
};

const step = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
const cell = (page: Page, name: string, run: number) =>
  step(page, name).getByRole("group", { name: `Run ${run}`, exact: true });

test("one input with two assignments is launched at once, stands side by side, and is judged (C7)", async ({
  browse,
  member,
  models,
  workspace,
}) => {
  await models.script([
    { system: "junior reviewer", lastUser: "Outline", text: "First the source.\nThen the mouth." },
    { system: "senior reviewer", lastUser: "Outline", text: "First the source.\nThen the valley." },
    { system: "junior reviewer", lastUser: "Rate", text: '{"score": 3, "of": 5}' },
    { system: "senior reviewer", lastUser: "Rate", text: '{"score": 4, "of": 5}', chunkSize: 4, hold: 2 },
  ]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, TEMPLATE);
  await member.goto(`/p/${PROJECT}/templates/pair/execute`);
  await member.getByLabel("Topic").fill("rivers");
  await member.getByLabel("Same for all").selectOption("junior_reviewer");
  await member.getByRole("button", { name: "Compare with other roles" }).click();
  await member.getByLabel("Role for Outline in B").selectOption("senior_reviewer");
  await member.getByLabel("Role for Rate in B").selectOption("senior_reviewer");
  await isClean(member, { phone: true });
  await member.getByRole("button", { name: "Run A and B" }).click();

  // Live: one run has its output, the other still streams.
  await expect(member).toHaveURL(/compare\?run=\d+&run=\d+$/);
  const [one, other] = [...new URL(member.url()).searchParams.getAll("run")].map(Number) as [number, number];
  await expect(cell(member, "Rate", one)).toContainText('"score": 3');
  await expect(cell(member, "Rate", other).getByRole("region", { name: "Live text" })).toHaveText('{"score"');
  await models.release();
  await expect(cell(member, "Rate", other)).toContainText('"score": 4');

  const outline = cell(member, "Outline", other);
  await expect(outline).toContainText("-Then the mouth.");
  await expect(outline).toContainText("+Then the valley.");
  const rate = cell(member, "Rate", other);
  await expect(rate.locator("dt")).toHaveText(["score"]);
  await expect(rate.locator("del")).toHaveText("3");
  await expect(rate.locator("ins")).toHaveText("4");
  await isClean(member, { phone: true });

  // A verdict is saved immediately, and another user sees it.
  const second = await browse();
  await signIn(second);
  await second.goto(member.url());
  const verdict = member.getByRole("group", { name: "Your verdict on Outline" });
  await verdict.getByRole("button", { name: /^B/ }).click();
  await expect(verdict.getByRole("button", { name: /^B/ })).toHaveAttribute("aria-pressed", "true");
  await expect(verdict.getByRole("button", { name: /^B/ }).locator("svg"), "the eye sees it, too").toBeVisible();
  await expect(verdict.locator("svg")).toHaveCount(1);
  await isClean(member, { phone: true });
  await verdict.getByLabel("Note on Outline").fill("nearer to the map");
  const kept = member.waitForResponse(/give_verdict/);
  await verdict.getByLabel("Note on Outline").press("Tab");
  await kept;
  const seen = second.getByRole("group", { name: "Your verdict on Outline" });
  await expect(seen.getByRole("button", { name: /^B/ }), "the same person in another browser").toHaveAttribute(
    "aria-pressed",
    "true",
  );
  await member.reload();
  await expect(verdict.getByRole("button", { name: /^B/ })).toHaveAttribute("aria-pressed", "true");
  await expect(verdict.getByLabel("Note on Outline")).toHaveValue("nearer to the map");

  await member.goto(`/p/${PROJECT}/compare`);
  const winners = member.getByRole("table", { name: "Which role wins at which step" });
  const senior = winners.getByRole("row").filter({ hasText: "senior_reviewer" });
  await expect(senior.getByRole("cell")).toHaveText(["pair", "Outline", /senior_reviewer/, "1", "0", "0"]);
  await isClean(member, { phone: true });
  const before = member.getByRole("table", { name: "Comparisons" }).getByRole("row").filter({ hasText: "Pair" });
  await expect(before.getByRole("cell").nth(3)).toHaveText("1");
});

test("any runs are put side by side, also without script, and a verdict can be taken back (C7)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([{ text: "The same." }]);
  await member.goto(`/p/${PROJECT}/compare`);
  await expect(member.getByText("Nothing to compare yet")).toBeVisible();
  await isClean(member, { phone: true });
  const first = await workspace.launch("rivers");
  const second = await workspace.launch("**Lakes**");
  for (const { run } of [first, second]) {
    await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  }
  await member.goto(`/p/${PROJECT}/compare`);
  // Runs of one template are distinguished by their inputs.
  await expect(member.getByText("topic: rivers", { exact: true })).toBeVisible();
  const choice = member.getByLabel(`Run ${second.run}`, { exact: true });
  await expect(choice).toHaveAccessibleDescription("topic: **Lakes**");
  await isClean(member, { phone: true });
  await member.getByLabel(`Run ${first.run}`, { exact: true }).check();
  await member.getByLabel(`Run ${second.run}`, { exact: true }).check();
  await member.getByRole("button", { name: "Compare" }).click();
  // The newest run is first in the list, and so in the comparison.
  await expect(cell(member, "Draft", first.run)).toContainText("They are the same.");
  const verdict = member.getByRole("group", { name: "Your verdict on the whole" });
  await verdict.getByRole("button", { name: "Same" }).click();
  await expect(verdict.getByRole("button", { name: "Same" })).toHaveAttribute("aria-pressed", "true");
  await verdict.getByRole("button", { name: "Same" }).click();
  await expect(verdict.getByRole("button", { name: "Same" })).toHaveAttribute("aria-pressed", "false");
  await member.getByRole("button", { name: "Undo" }).click();
  await expect(verdict.getByRole("button", { name: "Same" })).toHaveAttribute("aria-pressed", "true");
});

test("on a phone the menus of the top bar lead to Compare and to the projects, within the page", async ({ member }) => {
  await member.setViewportSize({ width: 360, height: 780 });
  await member.goto(`/p/${PROJECT}/runs`);
  await awake(member);
  const menu = member.getByRole("menu", { name: "Menu", exact: true });
  await member.getByRole("button", { name: "Menu", exact: true }).click();
  await expect(menu.locator(`a[href="/p/${PROJECT}/conversations"]`)).toBeVisible();
  await menu.getByRole("menuitem", { name: "Compare" }).click();
  await expect(member).toHaveURL(/\/compare$/);
  await expect(menu).toBeHidden();
  await member.getByRole("button", { name: /^Account/ }).click();
  const edge = () => member.getByRole("menu", { name: "Account" }).evaluate((shown) => shown.getBoundingClientRect().right);
  await expect.poll(edge, "at its button's side").toBeGreaterThan(300);
  await expect.poll(edge).toBeLessThanOrEqual(360);
});

test("an assignment is saved under a name and chosen again; what is gone is said (C10)", async ({
  browse,
  member,
  workspace,
}) => {
  const execute = `/p/${PROJECT}/templates/two-steps/execute`;
  await member.goto(execute);
  await member.getByLabel("Role for Draft").selectOption("junior_reviewer");
  await member.getByRole("button", { name: "Save as preset…" }).click();
  const dialog = member.getByRole("dialog", { name: "Save as preset" });
  await dialog.getByLabel("Name").fill("Quick draft");
  await isClean(member, { phone: true });
  await dialog.getByLabel("Name").press("Enter");
  await expect(dialog).toBeHidden();
  await expect(member.getByLabel("Preset", { exact: true })).toHaveValue("Quick draft");

  // The preset belongs to the team; saving under the same name must be confirmed.
  const other = await browse();
  await signIn(other);
  await other.goto(execute);
  await other.getByLabel("Preset", { exact: true }).selectOption("Quick draft");
  await expect(other.getByLabel("Role for Draft")).toHaveValue("junior_reviewer");
  await expect(other.getByLabel("Role for Polish")).toHaveValue("");
  await other.getByLabel("Role for Polish").selectOption("senior_reviewer");
  await other.getByRole("button", { name: "Save as preset…" }).click();
  await other.getByRole("button", { name: "Replace" }).click();
  await expect(other.getByRole("dialog")).toBeHidden();

  await workspace.rest.delete(`/projects/${PROJECT}/roles/senior_reviewer`);
  await member.reload();
  await member.getByLabel("Preset", { exact: true }).selectOption("Quick draft");
  await expect(member.getByText("'Polish' is left open: there is no role 'senior_reviewer' any more.")).toBeVisible();
  await member.getByRole("button", { name: "Delete this preset" }).click();
  await expect(member.getByLabel("Preset", { exact: true })).toBeHidden();
  await member.getByRole("button", { name: "Undo" }).click();
  await expect(member.getByLabel("Preset", { exact: true })).toBeVisible();
});
