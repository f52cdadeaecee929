// Costs of runs: prices set by an admin, costs if all of them are known, and the estimate of a launch (B14, C7).

import { expect, PROJECT, test } from "../fixtures";
import { isClean } from "../fixtures/clean";

test("a price is given, a run shows its cost, and the next launch what to expect", async ({ consoles, member, models, workspace }) => {
  // The browser logs the invalid price.
  consoles.allow(/status of 422/);
  await models.script([{ text: "Fine.", usage: { inputTokens: 1000, outputTokens: 100 } }]);
  const end = async (run: number) => expect.poll(async () => (await workspace.run(run)).status).toBe("completed");

  // Without prices no cost is shown, and without past runs no estimate.
  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await member.getByLabel("Topic").fill("rivers");
  await expect(member.getByRole("button", { name: "Run", exact: true })).toBeEnabled();
  await expect(member.getByText(/^About .* tokens/)).toHaveCount(0);
  const first = await workspace.launch("rivers");
  await end(first.run);
  await member.goto(`/p/${PROJECT}/runs/${first.run}`);
  await expect(member.getByText("2k in, 200 out")).toBeVisible();
  await expect(member.getByText("Cost", { exact: true })).toHaveCount(0);

  await member.goto("/settings/models");
  const input = member.getByLabel("Prompt of scripted/scripted, per million tokens");
  await expect(input).toBeVisible();
  await input.fill("much");
  const row = member.getByRole("listitem").filter({ has: input });
  await row.getByRole("button", { name: "Save" }).click();
  await expect(row).toContainText("dollars per million tokens");
  await input.fill("2");
  await member.getByLabel("Answer of scripted/scripted, per million tokens").fill("10.50");
  const saved = member.waitForResponse(/save_price/);
  await row.getByRole("button", { name: "Save" }).click();
  await saved;
  await member.reload();
  await expect(member.getByLabel("Answer of scripted/scripted, per million tokens")).toHaveValue("10.5");
  await isClean(member);

  const second = await workspace.launch("rivers");
  await end(second.run);
  await member.goto(`/p/${PROJECT}/runs/${second.run}`);
  // 2 × (1,000 × $2 + 100 × $10.50) per million.
  await expect(member.locator("dd").filter({ hasText: "$0.0061" })).toBeVisible();
  const shown = await workspace.rest.get<{ usage: { cost?: number }; steps: { usage: { cost?: number } }[] }>(
    `/projects/${PROJECT}/runs/${second.run}`,
  );
  expect(shown.usage.cost).toBeCloseTo(0.0061, 9);
  expect(shown.steps[0]?.usage.cost).toBeCloseTo(0.00305, 9);
  const before = await workspace.rest.get<{ usage: { cost?: number } }>(`/projects/${PROJECT}/runs/${first.run}`);
  expect(before.usage.cost, "it began without a price").toBeUndefined();

  await member.goto(`/p/${PROJECT}/compare?run=${first.run}&run=${second.run}`);
  await expect(member.getByRole("region", { name: `Run ${second.run}`, exact: true })).toContainText("$0.0061");
  await expect(member.getByRole("region", { name: `Run ${first.run}`, exact: true })).not.toContainText("$");
  await isClean(member);

  // The list of runs shows the cost too, if it is known; on a phone next to the duration.
  await member.goto(`/p/${PROJECT}/runs`);
  const runs = member.getByRole("table", { name: "Runs" });
  const listed = (run: number) => runs.getByRole("row").filter({ has: member.getByRole("link", { name: `${run}`, exact: true }) });
  await expect(runs.getByRole("columnheader", { name: "Cost" })).toBeVisible();
  await expect(listed(second.run).getByRole("cell", { name: "$0.0061", exact: true })).toBeVisible();
  await expect(listed(first.run)).not.toContainText("$");
  const { items } = await workspace.rest.get<{ items: { number: number; usage: { cost?: number } }[] }>(`/projects/${PROJECT}/runs`);
  expect(items.map(({ number, usage }) => [number, usage.cost])).toEqual([[second.run, 0.0061], [first.run, undefined]]);
  await member.setViewportSize({ width: 360, height: 780 });
  await expect(runs.getByRole("columnheader", { name: "Cost" })).toBeHidden();
  await expect(listed(second.run)).toContainText("$0.0061");
  const hidden = () => member.locator(".table-scroll").evaluate((table) => table.scrollWidth - table.clientWidth);
  await expect.poll(hidden).toBe(0);
  await isClean(member);
  await member.setViewportSize({ width: 1280, height: 800 });

  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await expect(member.getByText("About $0.0061, 2.2k tokens, from 2 past runs")).toBeVisible();
  await member.getByLabel("Topic").fill("rivers");
  await isClean(member);

  // In a comparison, the more expensive run shows the difference.
  await models.script([{ text: "Fine.", usage: { inputTokens: 2000, outputTokens: 200 } }]);
  const third = await workspace.launch("rivers");
  await end(third.run);
  await member.goto(`/p/${PROJECT}/compare?run=${second.run}&run=${third.run}`);
  const dearer = member.getByRole("region", { name: `Run ${third.run}`, exact: true });
  await expect(dearer).toContainText("$0.012");
  await expect(dearer).toContainText(/\+\s?\$0\.0061/);
  await expect(member.getByRole("region", { name: `Run ${second.run}`, exact: true })).not.toContainText("+");
});

test("the palette leads into a form that is filled in as last time", async ({ member, models }) => {
  await models.script([{ text: "Fine." }]);
  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await member.getByLabel("Topic").fill("rivers and their bridges");
  await member.getByLabel("Role for Polish").selectOption("senior_reviewer");
  await member.getByRole("button", { name: "Run", exact: true }).click();
  await expect(member).toHaveURL(/conversations\//);
  await expect(member.getByText("Completed").first()).toBeVisible();

  await member.keyboard.press("Control+k");
  const field = member.getByRole("combobox", { name: "Search and commands" });
  await field.fill("execute two");
  const offers = member.getByRole("listbox", { name: "What fits" });
  await expect(offers.getByRole("option", { selected: true })).toContainText("Execute Two steps…");
  await field.press("Enter");
  await expect(member).toHaveURL(/two-steps\/execute\?again=1$/);
  await expect(member.getByLabel("Topic")).toHaveValue("rivers and their bridges");
  await expect(member.getByLabel("Role for Polish")).toHaveValue("senior_reviewer");

  // Without the palette, the last input is offered by a button.
  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await expect(member.getByLabel("Topic")).toHaveValue("");
  await member.getByRole("button", { name: "As last time" }).click();
  await expect(member.getByLabel("Topic")).toHaveValue("rivers and their bridges");
});
