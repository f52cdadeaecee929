// Templates: created in the form and in YAML, checked by line, versioned; executed with roles chosen at launch (C1,
// C2, C4, C5, C6).

import type { Page } from "@playwright/test";

import { expect, PROJECT, test } from "../fixtures";
import { Conversation } from "../fixtures/conversation";

const YAML = `apiVersion: troupe/v1
key: haiku
name: Haiku
input:
  type: object
  required: [subject]
  properties:
    subject:
      type: string
      title: Subject
steps:
  - name: Write
    prompt: Write a haiku about {{ context.input.subject }}
  - name: Judge
    prompt: Judge this haiku. {{ context['Write'] }}
`;

const yaml = (page: Page) => page.getByRole("textbox", { name: "Template as YAML" });
/** The page is rendered before its script is active, so the switch is pressed until it reacts. */
const openYaml = (page: Page) =>
  expect(async () => {
    await page.getByRole("button", { name: "YAML", exact: true }).click();
    await expect(yaml(page)).toBeVisible({ timeout: 500 });
  }).toPass();
const step = (page: Page, name: string) =>
  page.getByRole("listbox", { name: "Steps" }).getByRole("option", { name: new RegExp(`^${name}:`) });
const inspector = (page: Page) => page.getByRole("complementary", { name: "Inspector" });
const problems = (page: Page) => page.getByRole("region", { name: "Problems" });

test("made from YAML and the form together, saved, changed, and saved as version 2 (C1, C2)", async ({ member }) => {
  await member.goto(`/p/${PROJECT}/templates`);
  await member.getByRole("link", { name: "New template" }).click();
  await member.getByRole("link", { name: /^Blank/ }).click();
  await openYaml(member);
  await yaml(member).fill(YAML);
  await expect(problems(member)).toContainText("No problems");
  await expect(member.getByRole("textbox", { name: "Name", exact: true }).first()).toHaveValue("Haiku");

  // Changes in the form appear in the YAML.
  await yaml(member).press("End");
  await inspector(member).getByLabel("Step name").fill("Appraise");
  await inspector(member).getByLabel("Step name").blur();
  await expect(yaml(member)).toHaveValue(/name: Appraise/);
  await member.getByRole("button", { name: "Save the template" }).click();
  await expect(member).toHaveURL(/templates\/haiku/);
  await expect(member.getByRole("heading", { level: 1 })).toContainText("Haiku");
  await expect(member.getByRole("main")).toContainText("Appraise");

  await member.goto(`/p/${PROJECT}/templates/haiku/edit`);
  await openYaml(member);
  await member.getByRole("button", { name: "Canvas", exact: true }).click();
  await step(member, "Write").click();
  await inspector(member).getByLabel("Prompt").fill("Write a limerick.");
  await openYaml(member);
  await expect(yaml(member)).toHaveValue(/Write a limerick/);
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member).toHaveURL(/templates\/haiku$/);
  await member.goto(`/p/${PROJECT}/templates/haiku?tab=versions`);
  const versions = member.getByRole("table", { name: "Versions" });
  await expect(versions.getByRole("link", { name: "Version 2" })).toBeVisible();
  await expect(versions.getByRole("link", { name: "Version 1" })).toBeVisible();
});

test("what is wrong is told at its line, and nothing is saved (C3)", async ({ member, workspace, consoles }) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await member.goto(`/p/${PROJECT}/templates/new?from=blank`);
  await openYaml(member);
  await yaml(member).fill(YAML.replace("context['Write']", "context['Wirte']"));
  await expect(problems(member)).toContainText("1 problem");
  const problem = problems(member).getByRole("button", { name: /Wirte/ });
  await expect(problem).toContainText("Line 15");

  await yaml(member).fill(YAML.replace("    prompt: Write", "    role: poet\n    prompt: Write"));
  await expect(problems(member).getByRole("button", { name: /role/ })).toContainText("Line 13");

  await yaml(member).fill("steps: [");
  await expect(member.getByText("cannot be read as a template")).toBeVisible();
  await member.getByRole("button", { name: "Save the template" }).click();
  await expect(member.getByText("It was not saved")).toBeVisible();
  const { items } = await workspace.rest.get<{ items: { key: string }[] }>(`/projects/${PROJECT}/templates`);
  expect(items.map(({ key }) => key)).not.toContain("haiku");
});

test("executed twice with other roles, from its page and into one conversation (C4, C5, C6)", async ({
  member,
  models,
}) => {
  await models.script([{ text: "Said by: {{system}}" }]);
  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await member.getByLabel("Topic").fill("rivers");
  await member.getByLabel("Role for Draft").selectOption("senior_reviewer");
  // One step has its role now; the other shows its fallback.
  await expect(member.getByText("stands in while nobody is chosen")).toHaveCount(1);
  await member.getByLabel("Role for Polish").selectOption("junior_reviewer");
  await member.getByRole("button", { name: "Run", exact: true }).click();

  await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);
  const conversation = new Conversation(member);
  await conversation.isSaidToBe(1, "Completed");
  await expect(conversation.responses).toContainText("Said by: You are a junior reviewer.");

  await member.getByRole("combobox", { name: "Run a template" }).selectOption({ label: "Two steps" });
  await member.getByLabel("Topic").fill("hills");
  await member.getByLabel("Role for Draft").selectOption("junior_reviewer");
  await member.getByLabel("Role for Polish").selectOption("senior_reviewer");
  // From any field, as the page states.
  await member.getByLabel("Role for Polish").press("Control+Enter");
  await expect(conversation.responses).toHaveCount(2);
  await conversation.isSaidToBe(2, "Completed");
  await expect(conversation.responses.last()).toContainText("Said by: You are a senior reviewer.");

  const calls = await models.calls();
  expect(calls.map(({ system }) => system)).toEqual([
    "You are a senior reviewer.",
    "You are a junior reviewer.",
    "You are a junior reviewer.",
    "You are a senior reviewer.",
  ]);
});

test("a missing input is told at its field, and no model is called", async ({ member, models, consoles }) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
  await expect(member.getByRole("button", { name: "Run", exact: true })).toBeEnabled();
  // The browser itself blocks an empty required field; without that, the server's check applies.
  await member.getByLabel("Topic").evaluate((field: HTMLInputElement) => field.removeAttribute("required"));
  await member.getByRole("button", { name: "Run", exact: true }).click();
  await expect(member.getByLabel("Topic")).toHaveAttribute("aria-invalid", "true");
  expect(await models.calls()).toEqual([]);
});

const EXECUTE = `/p/${PROJECT}/templates/two-steps/execute`;
const run = (page: Page) => page.getByRole("button", { name: "Run", exact: true });

test("what was put in is there again when one comes back, until it is launched", async ({ member, models }) => {
  await models.script([{ text: "An answer." }]);
  await member.goto(EXECUTE);
  await member.getByLabel("Topic").fill("rivers");
  await member.getByRole("link", { name: "Show the template" }).click();
  await expect(member).toHaveURL(/templates\/two-steps$/);
  await member.goBack();
  await expect(member.getByLabel("Topic")).toHaveValue("rivers");

  // The same template in a conversation, left for free text and chosen again.
  await member.goto(`/p/${PROJECT}/conversations/new`);
  const choose = member.getByRole("combobox", { name: "Run a template" });
  await choose.selectOption({ label: "Two steps" });
  await expect(member.getByLabel("Topic")).toHaveValue("rivers");
  await member.getByLabel("Topic").fill("hills");
  await member.getByRole("button", { name: "Back to free text" }).click();
  await expect(member.getByLabel("Topic")).toHaveCount(0);
  await choose.selectOption({ label: "Two steps" });
  await expect(member.getByLabel("Topic")).toHaveValue("hills");
  await run(member).click();
  await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);

  await member.goto(EXECUTE);
  await expect(member.getByRole("button", { name: "As last time" })).toBeVisible();
  await expect(member.getByLabel("Topic")).toHaveValue("");
});

test("whoever is asked goes on being asked in the conversation", async ({ member, models }) => {
  await models.script([{ text: "An answer." }]);
  await member.goto(`/p/${PROJECT}/conversations/new`);
  const role = member.locator(".composer select[name=role]");
  await expect(role).toHaveValue("general_worker");
  await role.selectOption("senior_reviewer");
  await member.getByRole("textbox", { name: "Message", exact: true }).fill("Who are you?");
  await member.getByRole("button", { name: "Send" }).click();
  await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);
  await expect(role).toHaveValue("senior_reviewer");
  await member.reload();
  await expect(role).toHaveValue("senior_reviewer");
});

test("what a launch may take counts the assignments beside the first as they come and go", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([{ text: "Fine.", usage: { inputTokens: 1000, outputTokens: 100 } }]);
  const past = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(past.run)).status).toBe("completed");
  await member.goto(EXECUTE);
  const estimate = member.getByText(/^About .* tokens/);
  await expect(estimate).toContainText("tokens, from 1 past run");
  const alone = (await estimate.textContent()) ?? "";
  const compare = member.getByRole("button", { name: "Compare with other roles" });
  const without = member.getByRole("button", { name: "Without B" });
  await compare.click();
  await expect(estimate).toContainText("tokens together, from 1 past run");
  await without.click();
  await expect(estimate).toHaveText(alone);
});

test("Run stays in sight in a conversation, and long names fit into the page", async ({ member, workspace }) => {
  const long = "Endless".repeat(26);
  const steps = Array.from({ length: 12 }, (_, place) => ({ name: `${long}${place}`, prompt: "Go on." }));
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "endless",
    name: "Endless",
    steps,
  });
  for (const [width, height] of [
    [1440, 900],
    [390, 844],
  ] as const) {
    await member.setViewportSize({ width, height });
    await member.goto(`/p/${PROJECT}/templates/endless/execute`);
    await expect(run(member)).toBeEnabled();
    const wide = () => member.evaluate(() => document.documentElement.scrollWidth);
    await expect.poll(wide).toBeLessThanOrEqual(width);

    await member.goto(`/p/${PROJECT}/conversations/new`);
    await member.getByRole("combobox", { name: "Run a template" }).selectOption({ label: "Endless" });
    await expect(run(member)).toBeInViewport({ ratio: 1 });
    await expect(member.getByRole("button", { name: "Compare with other roles" })).toBeInViewport({ ratio: 1 });
    await expect.poll(wide).toBeLessThanOrEqual(width);
  }
});

test("a role of last time that is gone is said to be", async ({ member, models, workspace }) => {
  await models.script([{ text: "An answer." }]);
  await member.goto(EXECUTE);
  await member.getByLabel("Topic").fill("rivers");
  await member.getByLabel("Role for Draft").selectOption("senior_reviewer");
  await run(member).click();
  await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);
  await expect.poll(async () => (await workspace.run(1)).status).toBe("completed");
  await workspace.rest.delete(`/projects/${PROJECT}/roles/senior_reviewer`);
  await member.goto(EXECUTE);
  const gone = member.getByText("'Draft' was done by 'senior_reviewer' last time, and that role is gone.");
  await expect(gone).toBeVisible();
  await member.getByLabel("Role for Draft").selectOption("junior_reviewer");
  await expect(gone).toHaveCount(0);
});

test.describe("without script", () => {
  test.use({ javaScriptEnabled: false });

  test("a template is executed all the same", async ({ member, models, workspace, consoles }) => {
    await models.script([{ text: "An answer." }]);
    await member.goto(`/p/${PROJECT}/templates/two-steps/execute`);
    await member.getByLabel("Topic").fill("rivers");
    await member.getByLabel("Role for Draft").selectOption("senior_reviewer");
    await member.getByRole("button", { name: "Run", exact: true }).click();
    await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);
    await expect.poll(async () => (await workspace.run(1)).status).toBe("completed");
    await member.reload();
    await expect(member.getByRole("article", { name: "Response" })).toContainText("An answer.");
  });
});
