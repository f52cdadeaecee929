// Hostile content of users and models: endless titles, other scripts, markup, and objects deleted while in use.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { awake, expect, PROJECT, test, type Launched } from "../fixtures";

const ENDLESS = "Endless".repeat(1500);
const OTHERS = "‫مراجعة الشيفرة 👩🏽‍🚀🏳️‍🌈 ‪עברית‬";
const MARKUP = `"><img src=x onerror="window.hurt=1"><script>window.hurt=1</script><b>bold</b> {{ 7 * 7 }}`;
const WORST = `${OTHERS} ${MARKUP} ${"W".repeat(150)}`;

const PAGES = (run: Launched): string[] => [
  "conversations",
  `conversations/${run.taskId}`,
  "templates",
  "templates/worst",
  "templates/worst/edit",
  "templates/worst/execute",
  "runs",
  `runs/${run.run}`,
  `runs/${run.run}?tab=graph`,
  `runs/${run.run}?tab=io`,
  `runs/${run.run}?tab=events`,
  `runs/${run.run}?tab=report`,
  "roles",
  "roles/worst",
  "inbox",
  "search?q=bold",
];

test("markup and other scripts are shown as they are, wherever they stand (B10)", async ({ member: page, models, workspace }) => {
  test.slow();
  await models.script([{ text: `# ${WORST}\n\n${WORST}\n\n\`\`\`\n${WORST}\n\`\`\`\n\n[a link](javascript:window.hurt=1)` }]);
  await workspace.rest.post(`/projects/${PROJECT}/roles`, {
    key: "worst",
    name: WORST.slice(0, 100),
    basePrompt: WORST,
    model: "scripted/scripted",
  });
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "worst",
    name: WORST.slice(0, 100),
    description: WORST,
    input: { type: "object", properties: { text: { type: "string", title: MARKUP, description: WORST } } },
    steps: [
      { name: WORST.slice(0, 60), description: WORST, prompt: "{{ context.input.text }}" },
      { name: MARKUP.slice(0, 60), prompt: "again" },
    ],
  });
  const launched = await workspace.rest.post<Launched>(`/projects/${PROJECT}/templates/worst/execute`, {
    input: { text: ENDLESS + WORST },
    roleAssignments: { [WORST.slice(0, 60)]: "worst" },
  });
  await expect.poll(async () => (await workspace.run(launched.run)).status).toMatch(/completed/);
  for (const path of PAGES(launched)) {
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(`/p/${PROJECT}/${path}`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await awake(page);
    expect(await page.evaluate(() => "hurt" in window), `${path} runs what it shows`).toBe(false);
    expect(await page.locator("main img[src='x'], main script").count(), `${path} has the markup`).toBe(0);
    await isClean(page, path);
    await page.setViewportSize({ width: 360, height: 780 });
    await fitsPhone(page, path);
  }
});

test("a title of ten thousand characters is kept, or refused where it was typed", async ({ consoles, member: page, models }) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await models.script([{ text: "Said." }]);
  await page.goto(`/p/${PROJECT}/conversations/new`);
  await page.getByRole("textbox", { name: "Message", exact: true }).fill(ENDLESS);
  await page.keyboard.press("Control+Enter");
  await expect(page.getByRole("article", { name: "Response" })).toContainText("Said.");
  await page.setViewportSize({ width: 360, height: 780 });
  for (const path of [new URL(page.url()).pathname, `/p/${PROJECT}/conversations`, `/p/${PROJECT}/search?q=endless`]) {
    await page.goto(path);
    await fitsPhone(page, path);
  }

  await page.goto(`/p/${PROJECT}/roles/new`);
  await page.getByRole("textbox", { name: "Name" }).fill(ENDLESS);
  await page.getByRole("textbox", { name: /^Key/ }).fill("endless");
  await page.getByRole("combobox", { name: "Model" }).selectOption("scripted");
  await page.getByRole("button", { name: "Make the role" }).click();
  await expect(page.getByRole("textbox", { name: "Name" })).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByRole("textbox", { name: "Name" })).toHaveValue(ENDLESS);
});

test("a message of two megabytes is answered or refused, and never lost", async ({ consoles, member: page, models }) => {
  test.slow();
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await models.script([{ text: "Said." }]);
  await page.goto(`/p/${PROJECT}/conversations/new`);
  const field = page.getByRole("textbox", { name: "Message", exact: true });
  const message = "A line of a long message.\n".repeat(80_660);
  // Set as a paste would: typing this text letter by letter is too slow for any text area.
  await field.evaluate((area: HTMLTextAreaElement, text) => {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }, message);
  await page.getByRole("button", { name: "Send" }).click();
  const answer = page.getByRole("article", { name: "Response" }).filter({ hasText: "Said." });
  const refusal = page.getByRole("alert").filter({ hasText: /MB|larger|long/ });
  await expect(answer.or(refusal).first()).toBeVisible({ timeout: 30_000 });
  if (await refusal.isVisible()) await expect(field).toHaveValue(message);
});

test("a template that is deleted while one edits it says so, and what was typed stays (B14)", async ({
  consoles,
  member: page,
  workspace,
}) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await page.goto(`/p/${PROJECT}/templates/two-steps/edit`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("Typed in vain?");
  await workspace.rest.delete(`/projects/${PROJECT}/templates/two-steps`);
  await page.getByRole("button", { name: /^Save as version/ }).click();
  await expect(page.getByRole("alert").filter({ hasText: /two-steps|deleted/ }).first()).toBeVisible();
  await expect(name).toHaveValue("Typed in vain?");
});

test("a role that is deleted while it runs goes on in that run (C8)", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Said in time.", hold: 0 }]);
  const launched = await workspace.launch("rivers", { Draft: "senior_reviewer", Polish: "senior_reviewer" });
  await page.goto(`/p/${PROJECT}/runs/${launched.run}`);
  const status = page.getByRole("region", { name: `Status of run ${launched.run}`, exact: true });
  await expect(status).toContainText("Running");
  await models.held();
  await workspace.rest.delete(`/projects/${PROJECT}/roles/senior_reviewer`);
  await models.script([{ text: "Said in time." }]);
  await models.release();
  await expect(status).toContainText("Completed");
  const calls = await models.calls();
  expect(calls.filter((call) => call.system?.includes("senior")).length, "both steps were its work").toBe(2);
  await page.reload();
  await expect(status).toContainText("Completed");
});

/** Polls, because some parts adapt to a narrower page with a delay. */
async function fitsPhone(page: Page, path: string): Promise<void> {
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth), `${path} fits a phone`).toBeLessThanOrEqual(360);
}

async function isClean(page: Page, path: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html.slice(0, 300)) }));
  expect(found, path).toEqual([]);
}
