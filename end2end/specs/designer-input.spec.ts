// The designer's forms: the input's rows next to the form's preview, the URL, several steps at once, and the presence
// of other users (C1, C2, C6).

import type { Page } from "@playwright/test";

import { expect, PROJECT, signIn, test } from "../fixtures";
import { isClean } from "../fixtures/clean";

const EDIT = `/p/${PROJECT}/templates/two-steps/edit`;

const canvas = (page: Page) => page.getByRole("listbox", { name: "Steps" });
const step = (page: Page, name: string) => canvas(page).getByRole("option", { name: new RegExp(`^${name}:`) });
const inspector = (page: Page) => page.getByRole("complementary", { name: "Inspector" });
const source = (page: Page) => page.locator("#template-source");
const settled = (page: Page) => expect(page.getByRole("region", { name: "Problems" })).toContainText("No problems");
const side = (page: Page, name: string) =>
  page.getByRole("group", { name: "Side of the editor" }).getByRole("button", { name, exact: true });

test("the form is made row by row, beside what people will see", async ({ member }) => {
  await member.goto(`${EDIT}?side=input`);
  const rows = member.getByRole("list", { name: "Fields of the input" });
  const form = member.getByRole("region", { name: "Preview of the form" });
  await expect(rows.getByRole("listitem")).toHaveCount(1);
  await expect(form.getByLabel("Topic")).toBeVisible();
  await expect(rows).toContainText("also says title, minLength");

  await member.getByRole("button", { name: "Add a field" }).click();
  const name = member.getByLabel("Name of field");
  await expect(name).toBeFocused();
  await name.fill("tone");
  await name.press("Tab");
  await member.getByLabel("Kind of tone").selectOption("Choice");
  await expect(member.getByLabel("Kind of tone")).toBeFocused();
  await member.getByLabel("Choices, separated by commas").fill("dry, warm");
  await member.getByLabel("Description of tone").fill("How it shall sound");
  await member.getByLabel("Default of tone").fill("warm");
  await expect(form.getByLabel(/^Tone/)).toHaveValue("warm");
  await expect(form).toContainText("How it shall sound");
  await rows.getByRole("listitem").nth(1).getByLabel("Required").check();
  await settled(member);

  await member.getByRole("button", { name: "Move tone up" }).click();
  await expect(rows.getByRole("listitem").first().getByLabel("Name of tone")).toBeFocused();
  await expect(source(member)).toHaveValue(/tone:[^]*enum:[^]*- dry[^]*topic:/);
  await expect(source(member)).toHaveValue(/minLength: 1/);
  await isClean(member);

  // One undo step is one change.
  await settled(member);
  await member.getByRole("button", { name: "Undo (Ctrl+Z)" }).click();
  await expect(rows.getByRole("listitem").first().getByLabel("Name of topic")).toBeVisible();

  // A schema that rows cannot show is reported, and stays unchanged.
  await member.locator("details").filter({ hasText: "As JSON Schema" }).first().locator("summary").click();
  await member.getByLabel("JSON Schema", { exact: true }).fill('{"oneOf": [{"type": "object"}]}');
  await expect(member.getByRole("region", { name: "Input", exact: true })).toContainText("This schema has no rows");
  await expect(source(member)).toHaveValue(/oneOf/);
});

test("a step's output schema is made of rows, too", async ({ member }) => {
  await member.goto(`${EDIT}?step=Draft`);
  await expect(inspector(member).getByLabel("Step name")).toHaveValue("Draft");
  await inspector(member).getByText("Body and output schema").click();
  await inspector(member).getByRole("button", { name: "Add a field" }).click();
  await inspector(member).getByLabel("Name of field").fill("score");
  await inspector(member).getByLabel("Name of field").press("Tab");
  await inspector(member).getByLabel("Kind of score").selectOption("Whole number");
  await expect(source(member)).toHaveValue(/outputSchema:[^]*score:[^]*type: integer/);
  await settled(member);
});

test("side and step are in the address, without a trail", async ({ member }) => {
  await member.goto(`/p/${PROJECT}/templates`);
  await member.goto(EDIT);
  await expect(side(member, "Canvas")).toBeEnabled();
  await expect(member.locator(".designer")).not.toHaveAttribute("aria-busy", "true");
  await canvas(member).press("End");
  await expect(member).toHaveURL(/\?step=Polish$/);
  await side(member, "YAML").click();
  await expect(member).toHaveURL(/side=yaml/);
  await member.reload();
  await expect(source(member)).toBeVisible();
  await expect(inspector(member).getByLabel("Step name")).toHaveValue("Polish");
  await side(member, "Canvas").click();
  await expect(member).toHaveURL(/edit\?step=Polish$/);
  await member.goBack();
  await expect(member).toHaveURL(/templates$/);
});

test("several steps are copied and removed as one change", async ({ member, workspace }) => {
  const steps = ["A", "B", "C", "D"].map((name) => ({ name, prompt: `Say ${name}`, ...(name === "B" || name === "C" ? { parallelGroup: "both" } : {}) }));
  steps[3] = { name: "D", prompt: "Sum {{ context['B'] }} and {{ context['C'] }}" };
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "four", name: "Four", steps });
  await member.goto(`/p/${PROJECT}/templates/four/edit?step=B`);
  await expect(member.locator(".designer")).not.toHaveAttribute("aria-busy", "true");
  await expect(canvas(member)).toContainText("both");
  await canvas(member).press("x");
  await canvas(member).press("ArrowDown");
  await canvas(member).press("x");
  await canvas(member).press("d");
  await expect(canvas(member).getByRole("option")).toHaveCount(6);
  await expect(step(member, "B copy")).toHaveCount(1);
  await settled(member);
  await canvas(member).press("Control+z");
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
  await settled(member);

  await canvas(member).press("Home");
  await canvas(member).press("ArrowDown");
  await canvas(member).press("x");
  await canvas(member).press("ArrowDown");
  await canvas(member).press("x");
  await canvas(member).press("Delete");
  const dialog = member.getByRole("dialog", { name: "Remove 2 steps?" });
  await expect(dialog).toContainText("Used by D");
  await dialog.getByLabel("Texts that read their outputs").selectOption("Read the output of A");
  await dialog.getByRole("button", { name: "Remove 2 steps" }).click();
  await expect(canvas(member).getByRole("option")).toHaveCount(2);
  await expect(source(member)).toHaveValue(/Sum \{\{ context\['A'\] \}\} and \{\{ context\['A'\] \}\}/);
  await settled(member);
  await member.getByRole("button", { name: "Undo (Ctrl+Z)" }).click();
  await expect(canvas(member).getByRole("option")).toHaveCount(4);
});

test("two people see each other, and the later save is shown the difference", async ({ browse, consoles, member, product }) => {
  // The browser logs the rejected save.
  consoles.allow(/status of 409/);
  const password = "another-long-password";
  product.command(["user", "add", "bob@example.org", "--admin", "--name", "Bob Builder", "--password-stdin"], password);
  const other = await browse();
  await other.goto("/sign-in");
  await other.getByLabel("E-mail").fill("bob@example.org");
  await other.getByLabel("Password").fill(password);
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other).not.toHaveURL(/sign-in/);

  await member.goto(`${EDIT}?step=Draft`);
  const here = member.getByRole("list", { name: "Also editing" });
  await expect(member.locator(".designer")).not.toHaveAttribute("aria-busy", "true");
  await expect(here.getByRole("listitem")).toHaveCount(0);
  await other.goto(`${EDIT}?step=Draft`);
  await expect(other.getByRole("list", { name: "Also editing" })).toContainText("Ada Admin has this open, too");
  await expect(here).toContainText("Bob Builder has this open, too");
  await isClean(member);

  await inspector(other).getByLabel("Prompt").fill("Bob's draft about {{ context.input.topic }}");
  await expect(source(other)).toHaveValue(/Bob's draft/);
  await other.getByRole("button", { name: "Save as version 2" }).click();
  await expect(other).toHaveURL(/templates\/two-steps$/);
  await expect(member.getByText("Version 2 was saved meanwhile")).toBeVisible();
  await expect(here.getByRole("listitem")).toHaveCount(0);

  await inspector(member).getByLabel("Prompt").fill("Ada's draft about {{ context.input.topic }}");
  await expect(source(member)).toHaveValue(/Ada's draft/);
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member.getByText("Version 2 was saved in the meantime")).toBeVisible();
  await expect(member.getByRole("figure").filter({ hasText: "Theirs" })).toContainText("Bob's draft");
  await expect(source(member)).toHaveValue(/Ada's draft/);
  await member.getByRole("button", { name: "Save mine as version 3" }).click();
  await expect(member).toHaveURL(/templates\/two-steps$/);
  await expect(member.getByRole("main")).toContainText("Ada's draft");
});

test("the same person in another tab is told so", async ({ browse, member }) => {
  await member.goto(EDIT);
  const second = await browse();
  await signIn(second);
  await second.goto(EDIT);
  await expect(second.getByRole("list", { name: "Also editing" })).toContainText("You have this open in another tab, too");
});
