// Lists of an input, filled in row by row, by typing, by shortcuts and by pasting, or as JSON (C4, C6).

import type { Page } from "@playwright/test";

import { expect, PROJECT, signIn, test, type Workspace } from "../fixtures";
import { isClean } from "../fixtures/clean";

const EXECUTE = `/p/${PROJECT}/templates/lists/execute`;

const TEMPLATE = {
  apiVersion: "troupe/v1",
  key: "lists",
  name: "Lists",
  input: {
    type: "object",
    required: ["topics"],
    properties: {
      topics: { type: "array", title: "Topics", description: "What to write about", items: { type: "string", maxLength: 20 } },
      people: {
        type: "array",
        title: "People",
        items: {
          type: "object",
          required: ["name"],
          properties: {
            name: { type: "string" },
            age: { type: "integer", minimum: 0 },
            member: { type: "boolean" },
            tone: { enum: ["dry", "warm"] },
          },
        },
      },
    },
  },
  steps: [{ name: "Write", prompt: "{{context.input}}" }],
};

const topics = (page: Page) => page.getByRole("group", { name: /^Topics$/ });
const people = (page: Page) => page.getByRole("group", { name: /^People/ }).first();
const topic = (page: Page, row: number) => page.getByLabel(`Topics, row ${row}`, { exact: true }).getByRole("textbox");
const person = (page: Page, row: number) => page.getByRole("group", { name: `People, row ${row}`, exact: true });

const prepare = (workspace: Workspace) => workspace.rest.post(`/projects/${PROJECT}/templates`, TEMPLATE);

const inputOf = async (workspace: Workspace, run: number) =>
  (await workspace.rest.get<{ input: unknown }>(`/projects/${PROJECT}/runs/${run}`)).input;

/** Pastes a text as from the clipboard. */
async function paste(page: Page, text: string): Promise<void> {
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, text);
}

async function launch(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page).toHaveURL(/conversations\//);
}

test("rows are added, moved and removed by key and by hand, and launched as a list", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Fine." }]);
  await prepare(workspace);
  await page.goto(EXECUTE);
  await expect(topics(page)).toContainText("What to write about");
  await topic(page, 1).fill("rivers");
  await topic(page, 1).press("Enter");
  await expect(topic(page, 2)).toBeFocused();
  await page.keyboard.type("bridges");
  await page.keyboard.press("Enter");
  await expect(topic(page, 3)).toBeFocused();
  // Pasted lines become rows.
  await paste(page, "weirs\r\n\nlocks\nferries\n");
  await expect(topic(page, 5)).toHaveValue("ferries");
  await expect(topic(page, 5)).toBeFocused();
  await expect(topic(page, 3)).toHaveValue("weirs");

  await page.keyboard.press("Alt+ArrowUp");
  await expect(topic(page, 4)).toBeFocused();
  await expect(topic(page, 4)).toHaveValue("ferries");
  await page.getByRole("button", { name: "Move row 1 down" }).first().click();
  await expect(topic(page, 1)).toHaveValue("bridges");
  await expect(topic(page, 2)).toBeFocused();

  await page.getByRole("button", { name: "Remove row 3" }).click();
  await expect(topic(page, 3)).toHaveValue("ferries");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(topic(page, 3)).toHaveValue("weirs");
  await topic(page, 5).press("Enter");
  await expect(topic(page, 6)).toBeFocused();
  await page.keyboard.press("Backspace");
  await expect(topic(page, 5)).toBeFocused();
  await expect(topic(page, 6)).toHaveCount(0);
  await isClean(page);

  await person(page, 1).getByLabel("Name").fill("Ada");
  await person(page, 1).getByLabel(/^Age/).fill("36");
  await person(page, 1).getByLabel(/^Member/).selectOption("Yes");
  await person(page, 1).getByLabel(/^Age/).press("Enter");
  await expect(person(page, 2).getByLabel("Name")).toBeFocused();
  await paste(page, "Bob\t41\nCleo\t7");
  await expect(person(page, 3).getByLabel(/^Age/)).toHaveValue("7");
  await launch(page);
  expect(await inputOf(workspace, 1)).toEqual({
    topics: ["bridges", "rivers", "weirs", "ferries", "locks"],
    people: [{ name: "Ada", age: 36, member: true }, { name: "Bob", age: 41 }, { name: "Cleo", age: 7 }],
  });

  // The last input, shown as rows again.
  await page.goto(EXECUTE);
  await page.getByRole("button", { name: "As last time" }).click();
  await expect(topic(page, 5)).toHaveValue("locks");
  await expect(person(page, 3).getByLabel("Name")).toHaveValue("Cleo");
  await expect(person(page, 1).getByLabel(/^Member/)).toHaveValue("true");
});

test("what is wrong with an item stands in its row, empty rows between or not", async ({ consoles, member: page, workspace }) => {
  // The browser logs the refused launch.
  consoles.allow(/status of 422/);
  await prepare(workspace);
  await page.goto(EXECUTE);
  await topic(page, 1).fill("rivers");
  await topic(page, 1).press("Enter");
  await page.keyboard.press("Enter");
  await page.keyboard.type("a topic of more than twenty characters");
  await person(page, 1).getByLabel(/^Age/).fill("-3");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const long = page.getByRole("group", { name: "Topics, row 3", exact: true });
  await expect(long).toContainText("Must have at most 20 characters.");
  await expect(topic(page, 3)).toHaveAttribute("aria-invalid", "true");
  await expect(person(page, 1)).toContainText("Must be at least 0.");
  await expect(person(page, 1)).toContainText("Is required.");
  await isClean(page);
  // The problem moves with its row.
  await topic(page, 3).press("Alt+ArrowUp");
  await expect(page.getByRole("group", { name: "Topics, row 2", exact: true })).toContainText("at most 20");
  await expect(long).not.toContainText("at most 20");
});

test("rows and JSON are two ways to say the same", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Fine." }]);
  await prepare(workspace);
  await page.goto(EXECUTE);
  await topic(page, 1).fill("rivers");
  const json = topics(page).getByText("As JSON");
  const area = topics(page).getByLabel(/A list in JSON/);
  await json.click();
  await expect(area).toHaveValue('[\n  "rivers"\n]');
  await expect(topic(page, 1)).toBeHidden();
  // JSON that has no rows stays JSON, with the reason.
  await area.fill('["rivers", ["deep"]]');
  await json.click();
  await expect(topics(page)).toContainText("Item 2 does not fit into a row.");
  await expect(area).toBeVisible();
  await area.fill('["weirs", "locks"]');
  await json.click();
  await expect(topic(page, 2)).toHaveValue("locks");
  await expect(area).toBeHidden();
  // More lines than the maximum of rows.
  await topic(page, 2).selectText();
  await paste(page, Array.from({ length: 300 }, (_, at) => `line ${at}`).join("\n"));
  await expect(area).toHaveValue(/"line 299"/);
  await expect(area).toBeFocused();
  await isClean(page);
  await launch(page);
  expect((await inputOf(workspace, 1)) as { topics: string[] }).toHaveProperty("topics.length", 301);
});

test("without script the first row or the JSON is posted", async ({ browse, models, workspace }) => {
  await models.script([{ text: "Fine." }]);
  await prepare(workspace);
  const page = await browse({ javaScriptEnabled: false });
  await signIn(page);
  await page.goto(EXECUTE);
  await topic(page, 1).fill("a topic of more than twenty characters");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(topics(page)).toContainText("Item 1 must have at most 20 characters.");
  await topic(page, 1).fill("rivers");
  await people(page).getByText("As JSON").click();
  await people(page).getByLabel(/A list in JSON/).fill('[{"name": "Ada"}, {"name": "Bob"}]');
  await expect(page.getByRole("button", { name: "Add a row" })).toHaveCount(0);
  await launch(page);
  expect(await inputOf(workspace, 1)).toEqual({ topics: ["rivers"], people: [{ name: "Ada" }, { name: "Bob" }] });
});

test("a list fits on a phone, and the designer's preview draws it as people will see it", async ({ member: page, workspace }) => {
  await prepare(workspace);
  await page.setViewportSize({ width: 360, height: 780 });
  await page.goto(EXECUTE);
  await topic(page, 1).press("Enter");
  await expect(topic(page, 2)).toBeFocused();
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await isClean(page);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`/p/${PROJECT}/templates/lists/edit?side=input`);
  const form = page.getByRole("region", { name: "Preview of the form" });
  const row = form.getByLabel("Topics, row 1", { exact: true }).getByRole("textbox");
  // A key press before hydration has no effect.
  await expect(page.locator(".designer")).not.toHaveAttribute("aria-busy", "true");
  await row.press("Enter");
  await expect(form.getByLabel("Topics, row 2", { exact: true }).getByRole("textbox")).toBeFocused();
});
