// Templates: made in the form and in YAML, checked at the line, versioned; executed with roles chosen then (C1, C2,
// C4, C5, C6).

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
/** The page is there before its script: the switch is pressed until it listens. */
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

  // What the form changes stands in the YAML.
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
  // One step has its role now; the other says who stands in.
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
  // From any field, as the page says.
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
  // The browser itself holds an empty required field back; without that the server's word counts.
  await member.getByLabel("Topic").evaluate((field: HTMLInputElement) => field.removeAttribute("required"));
  await member.getByRole("button", { name: "Run", exact: true }).click();
  await expect(member.getByLabel("Topic")).toHaveAttribute("aria-invalid", "true");
  expect(await models.calls()).toEqual([]);
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
