// The designer: a template drawn as it runs, and edited on the drawing by mouse, by keyboard only, and in its text
// (C1, C2, C3, C6).

import { AxeBuilder } from "@axe-core/playwright";
import type { Locator, Page } from "@playwright/test";

import { awake, expect, PROJECT, test } from "../fixtures";

const EDIT = `/p/${PROJECT}/templates/two-steps/edit`;

const canvas = (page: Page) => page.getByRole("listbox", { name: "Steps" });
const step = (page: Page, name: string) => canvas(page).getByRole("option", { name: new RegExp(`^${name}:`) });
const inspector = (page: Page) => page.getByRole("complementary", { name: "Inspector" });
const nameField = (page: Page) => inspector(page).getByLabel("Step name");
const yaml = (page: Page) => page.getByRole("textbox", { name: "Template as YAML" });
const settled = (page: Page) => expect(page.getByRole("region", { name: "Problems" })).toContainText("No problems");

/** Opens the designer and waits until its script is active. */
async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await expect(async () => {
    await page.getByRole("button", { name: "YAML", exact: true }).click();
    await expect(yaml(page)).toBeVisible({ timeout: 500 });
  }).toPass();
  await page.getByRole("button", { name: "Canvas", exact: true }).click();
  await expect(canvas(page)).toBeVisible();
}

async function readYaml(page: Page): Promise<string> {
  await settled(page);
  return page.locator("#template-source").inputValue();
}

async function middle(of: Locator): Promise<{ x: number; y: number; right: number }> {
  const box = await of.locator("rect").first().boundingBox();
  if (!box) throw new Error("it is not drawn");
  return { x: box.x + box.width / 2, y: box.y + box.height / 2, right: box.x + box.width };
}

async function choose(page: Page, name: string): Promise<void> {
  const { x, y } = await middle(step(page, name));
  await page.mouse.click(x, y);
  await expect(step(page, name)).toHaveAttribute("aria-selected", "true");
}

test("by mouse: chosen, renamed, added in a line, connected, removed and undone", async ({ member }) => {
  await open(member, EDIT);
  await choose(member, "Draft");
  await expect(nameField(member)).toHaveValue("Draft");

  // Typed text appears on the canvas and in the YAML.
  await inspector(member).getByLabel("Prompt").fill("Write about {{ context.input.topic }}");
  await expect(step(member, "Draft")).toContainText("Write about");
  await nameField(member).fill("Write");
  await nameField(member).blur();
  expect(await readYaml(member)).toContain("context['Write']");

  // The plus on the edge inserts a step between the two, with its name ready to be typed.
  const from = await middle(step(member, "Write"));
  const to = await middle(step(member, "Polish"));
  await member.mouse.move((from.x + to.x) / 2, from.y);
  await member.mouse.click((from.x + to.x) / 2, from.y);
  await expect(nameField(member)).toBeFocused();
  await member.keyboard.type("Check");
  await member.keyboard.press("Tab");
  await expect(canvas(member).getByRole("option")).toHaveCount(3);
  await expect(step(member, "Check")).toHaveAttribute("aria-label", /waits for Write/);
  await expect(step(member, "Polish")).toHaveAttribute("aria-label", /waits for Check/);
  await settled(member);

  // An edge drawn from a port: from here on each step declares its dependencies.
  await member.getByRole("button", { name: "Show all of it (0)" }).click();
  const write = await middle(step(member, "Write"));
  const polish = await middle(step(member, "Polish"));
  await member.mouse.move(write.right, write.y);
  await member.mouse.down();
  await member.mouse.move(polish.x - 20, polish.y, { steps: 6 });
  await member.mouse.up();
  await expect(step(member, "Polish")).toHaveAttribute("aria-label", /waits for Write, Check/);
  expect(await readYaml(member)).toContain("dependsOn");

  // Removing a step that others use lists them, and offers a replacement for them to read.
  await choose(member, "Write");
  await member.getByRole("button", { name: "Remove the step (Delete)" }).click();
  const dialog = member.getByRole("dialog", { name: "Remove the step?" });
  await expect(dialog).toContainText("Used by");
  await expect(dialog).toContainText("Polish");
  await dialog.getByRole("button", { name: "Remove the step" }).click();
  await expect(canvas(member).getByRole("option")).toHaveCount(2);
  await expect(member.getByRole("region", { name: "Problems" })).toContainText("1 problem");
  await expect(step(member, "Polish")).toHaveAttribute("aria-label", /has a problem/);
  await member.getByRole("button", { name: "Undo (Ctrl+Z)" }).click();
  await expect(canvas(member).getByRole("option")).toHaveCount(3);
  await settled(member);
});

test("by keyboard alone: a template is made, wired, grouped, undone and saved", async ({ member }) => {
  await open(member, `/p/${PROJECT}/templates/new?from=blank`);
  await canvas(member).focus();
  await member.keyboard.press("ArrowRight");
  await expect(step(member, "First step")).toHaveAttribute("aria-selected", "true");
  const typeName = async (name: string) => {
    await expect(nameField(member)).toBeFocused();
    await member.keyboard.type(name);
    await member.keyboard.press("Tab");
    await expect(step(member, name)).toHaveCount(1);
    await settled(member);
    await canvas(member).focus();
  };
  await member.keyboard.press("n");
  await typeName("Second");
  await member.keyboard.press("n");
  await typeName("Third");
  await expect(step(member, "Third")).toHaveAttribute("aria-label", /waits for Second/);

  // A step next to the chosen one: both run at once.
  await member.keyboard.press("Shift+N");
  await typeName("Beside");
  await expect(step(member, "Beside")).toHaveAttribute("aria-label", /waits for Second/);

  // An edge by keyboard: started at one step, ended at another; the same again removes it.
  await member.keyboard.press("Home");
  await member.keyboard.press("c");
  await expect(member.getByText(/A line from First step/)).toBeVisible();
  await member.keyboard.press("End");
  await member.keyboard.press("Enter");
  await expect(step(member, "Beside")).toHaveAttribute("aria-label", /waits for First step, Second/);
  await settled(member);

  await member.keyboard.press("d");
  await typeName("Copied");
  await expect(canvas(member).getByRole("option")).toHaveCount(5);
  await member.keyboard.press("Delete");
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
  await settled(member);
  await member.keyboard.press("Control+z");
  await expect(canvas(member).getByRole("option")).toHaveCount(5);
  await settled(member);
  await member.keyboard.press("Control+Shift+z");
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
  await settled(member);

  await member.keyboard.press("Control+s");
  await expect(member).toHaveURL(/templates\/new-template$/);
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
});

test("steps are added one after another by keys, from a page on which nothing has the focus", async ({ member }) => {
  await open(member, `/p/${PROJECT}/templates/new?from=blank`);
  await member.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  for (const [name, key] of [["Second", "Enter"], ["Third", "Escape"], ["Fourth", "Enter"]] as const) {
    await member.keyboard.press("n");
    await expect(nameField(member)).toBeFocused();
    await member.keyboard.type(name);
    await member.keyboard.press(key);
    await expect(canvas(member)).toBeFocused();
    await expect(step(member, name)).toHaveAttribute("aria-selected", "true");
    await settled(member);
  }
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
});

test("a kept draft outlives what is typed before it is used", async ({ member }) => {
  const kept = member.getByRole("status").filter({ hasText: "An unsaved draft is kept in this browser" });
  await open(member, EDIT);
  await canvas(member).focus();
  await member.keyboard.press("n");
  await expect(nameField(member)).toBeFocused();
  await member.keyboard.type("Kept");
  await member.keyboard.press("Enter");
  await expect(member.locator("#template-source")).toHaveValue(/Kept/);
  await open(member, EDIT);
  await expect(kept).toHaveCount(1);
  await inspector(member).getByLabel("Description").fill("Typed later");
  await expect(member.locator("#template-source")).toHaveValue(/Typed later/);
  await open(member, EDIT);
  await expect(kept).toHaveCount(2);
  await kept.first().getByRole("button", { name: "Use the draft" }).click();
  await expect(step(member, "Kept")).toHaveCount(1);
  await expect(kept).toHaveCount(1);
  await kept.getByRole("button", { name: "Use the draft" }).click();
  await expect(member.locator("#template-source")).toHaveValue(/Typed later/);
  // The text that was being edited is kept as another draft.
  await kept.getByRole("button", { name: "Discard it" }).click();
  await expect(kept).toHaveCount(0);
});

test("a template that was deleted in the meantime is made anew", async ({ consoles, member, workspace }) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await open(member, EDIT);
  await inspector(member).getByLabel("Description").fill("Still here");
  await expect(member.locator("#template-source")).toHaveValue(/Still here/);
  await workspace.rest.delete(`/projects/${PROJECT}/templates/two-steps`);
  await member.getByRole("button", { name: /^Save as version/ }).click();
  await member.getByRole("button", { name: "Save as a new template" }).click();
  // The user continues to edit the new template in place.
  await expect(member.getByRole("button", { name: "Save as version 2" })).toBeVisible();
  await expect(member.getByRole("button", { name: "Save as a new template" })).toHaveCount(0);
  await expect(member).toHaveURL(/templates\/two-steps\/edit$/);
  await expect(inspector(member).getByLabel("Description")).toHaveValue("Still here");
  await inspector(member).getByLabel("Description").fill("Still here, and more");
  await settled(member);
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member).toHaveURL(/templates\/two-steps$/);
  await expect(member.getByRole("main")).toContainText("Still here, and more");
});

test("likely slips are hinted at and keep nobody from saving", async ({ member }) => {
  const problems = member.getByRole("region", { name: "Problems" });
  await open(member, EDIT);
  await choose(member, "Polish");
  const prompt = inspector(member).getByLabel("Prompt");
  await prompt.fill("");
  await expect(problems).toContainText("No problems, 1 hint");
  await expect(problems.getByRole("button", { name: /^Hint, line \d+\s*There is no prompt/ })).toBeVisible();
  await expect(step(member, "Polish")).toHaveAttribute("aria-label", /has a hint/);
  await expect(step(member, "Draft")).not.toHaveAttribute("aria-label", /has a/);

  await prompt.fill("Polish {{ context.input.tropic }}");
  await expect(inspector(member)).toContainText("Hint: The input has no field 'tropic': declare it in the input");
  const hint = problems.getByRole("button", { name: /did you mean 'topic'/ });
  await expect(problems).toContainText("No problems, 1 hint");
  await member.getByRole("button", { name: "YAML", exact: true }).click();
  await hint.click();
  await expect(yaml(member)).toBeFocused();
  await expect(yaml(member)).not.toHaveAttribute("aria-invalid");
  await expect(member.locator(".yaml-hinted")).toHaveCount(1);
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member).toHaveURL(/templates\/two-steps$/);
});

test("the text keeps its comments, and its cursor chooses the step", async ({ member }) => {
  await open(member, `/p/${PROJECT}/templates/new?from=blank`);
  await member.getByRole("button", { name: "YAML", exact: true }).click();
  const source = (await yaml(member).inputValue()).replace("steps:\n", "# In this order.\nsteps:\n  # Mine.\n");
  await yaml(member).fill(`${source}\n  # Last.\n  - name: Last\n    prompt: Say {{ context['First step'] }}\n`);
  await settled(member);
  // The cursor is at the end, in the last step.
  await yaml(member).press("End");
  await expect(nameField(member)).toHaveValue("Last");
  await member.getByRole("button", { name: "Canvas", exact: true }).click();
  await choose(member, "First step");
  await inspector(member).getByText("Retries, time and failure").click();
  await inspector(member).getByLabel("Retries").fill("2");
  await expect(member.locator("#template-source")).toHaveValue(/maxRetries: 2/);
  const text = await readYaml(member);
  for (const comment of ["# In this order.", "# Mine.", "# Last."]) expect(text).toContain(comment);
});

test("what can be read is offered, and its value in the last run shown", async ({ member, workspace, models }) => {
  await models.script([{ text: "Forty-two." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await open(member, EDIT);
  await choose(member, "Polish");
  const prompt = inspector(member).getByLabel("Prompt");
  await prompt.fill("");
  await prompt.pressSequentially("Say {{ con");
  const offers = member.getByRole("listbox", { name: "What can be read here" });
  await expect(offers.getByRole("option").first()).toContainText("context['Draft']");
  await expect(offers).toContainText("context.input.topic");
  await prompt.press("Enter");
  await expect(prompt).toHaveValue("Say {{ context['Draft'] }}");
  await inspector(member).getByText("When it runs").click();
  await inspector(member).getByLabel("Condition").fill("context['Draft'] == 'Forty-two.'");
  await expect(inspector(member)).toContainText(`In run ${run}: true`);
});

test("versions are compared and restored", async ({ member }) => {
  await open(member, EDIT);
  await choose(member, "Draft");
  await inspector(member).getByLabel("Prompt").fill("Another draft about {{ context.input.topic }}");
  await expect(member.locator("#template-source")).toHaveValue(/Another draft/);
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member).toHaveURL(/templates\/two-steps$/);
  await member.goto(`/p/${PROJECT}/templates/two-steps?tab=versions`);
  await member.getByRole("link", { name: "What changed" }).first().click();
  await expect(member.getByRole("region", { name: "Changes from version 1 to version 2" })).toContainText("Another draft");
  const confirm = member.getByRole("button", { name: "Restore it" });
  // The button is rendered before the script is active.
  await awake(member);
  await member.getByRole("button", { name: "Restore version 1" }).click();
  await confirm.click();
  await expect(member.getByText("version 3", { exact: true })).toBeVisible();
  await expect(member.getByRole("main")).not.toContainText("Another draft");
});

test("five hundred steps are drawn and moved without a complaint", async ({ member, workspace }) => {
  const steps = Array.from({ length: 500 }, (_, number) => ({
    name: `Step ${number}`,
    prompt: `Do part ${number}`,
    dependsOn: [11, 17, 23].filter((back) => back <= number).map((back) => `Step ${number - back}`),
  }));
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "large", name: "Large", steps });
  await open(member, `/p/${PROJECT}/templates/large/edit`);
  await expect(canvas(member).getByRole("option")).toHaveCount(500);
  const drawing = canvas(member).locator("g[transform]").first();
  const at = () => drawing.getAttribute("transform");
  // The drawing opens at its first wave, large enough to be readable.
  const zoom = async () => Number(/scale\(([\d.]+)\)/.exec((await at()) ?? "")?.[1]);
  await expect.poll(zoom).toBe(0.4);
  const frame = await canvas(member).boundingBox();
  if (!frame) throw new Error("it is not drawn");
  const firsts = await Promise.all(Array.from({ length: 11 }, (_, number) => middle(step(member, `Step ${number}`))));
  const seen = firsts.filter(({ y }) => y > frame.y && y < frame.y + frame.height);
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.every(({ x }) => x > frame.x && x < frame.x + frame.width / 2)).toBe(true);
  for (let times = 0; times < 10; times += 1) await canvas(member).press("+");
  const before = await at();
  await canvas(member).hover();
  await member.mouse.wheel(600, 0);
  await expect.poll(at).not.toBe(before);
  const wheeled = await at();
  await member.mouse.down();
  await member.mouse.move(300, 400, { steps: 10 });
  await member.mouse.up();
  await expect.poll(at).not.toBe(wheeled);
  await member.getByRole("button", { name: "Show all of it (0)" }).click();
  const fitted = await at();
  expect(await zoom()).toBeLessThan(0.4);
  await canvas(member).press("+");
  await expect.poll(at).not.toBe(fitted);
  await canvas(member).press("End");
  await expect(inspector(member).getByLabel("Step name")).toHaveValue(/^Step \d+$/);
});

test("the designer is clean in light and dark, with a step open", async ({ member }) => {
  await open(member, EDIT);
  await choose(member, "Polish");
  for (const colorScheme of ["light", "dark"] as const) {
    await member.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page: member }).analyze();
    const found = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html) }));
    expect(found, `axe in ${colorScheme}`).toEqual([]);
  }
});
