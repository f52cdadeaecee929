// Conversations: of any length, read from any place (B12, B17), edited into branches, searched inside, with marks for
// what is new to each member (B14).

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { ADMIN, awake, expect, fillSignIn, PROJECT, test } from "../fixtures";
import { fill } from "../fixtures/long";

const MESSAGES = 5_000;

/** Asks in a new conversation and waits for the answer. */
async function ask(page: Page, text: string): Promise<string> {
  await page.goto(`/p/${PROJECT}/conversations/new`);
  await awake(page);
  await page.getByRole("textbox", { name: "Message", exact: true }).fill(text);
  await page.keyboard.press("Control+Enter");
  await expect(page).toHaveURL(/conversations\/[0-9a-f]{8}-/);
  await expect(page.getByRole("article", { name: "Response" }).last()).toContainText("Completed");
  return /conversations\/([0-9a-f-]{36})/.exec(page.url())![1]!;
}

const articles = (page: Page) => page.getByRole("log", { name: "Messages" }).getByRole("article");
const seen = (page: Page, text: string) => expect(articles(page).filter({ hasText: text }).first()).toBeInViewport();

test("a conversation of 5,000 messages opens at its end and is read both ways (B12, B17)", async ({ member: page, models, product }) => {
  test.slow();
  await models.script([{ text: "It is **so**." }]);
  const task = await ask(page, "The newest question");
  fill(product.data, task, MESSAGES);
  await page.addInitScript(() => {
    const figures = { lcp: 0, shift: 0 };
    Object.assign(window, { figures });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) figures.lcp = entry.startTime;
    }).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (!entry.hadRecentInput) figures.shift += entry.value;
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`/p/${PROJECT}/conversations/${task}`);
  await seen(page, "The newest question");
  await awake(page);
  expect(await articles(page).count()).toBeLessThanOrEqual(120);

  // Towards the past, further than the page holds at once.
  const log = page.getByRole("log", { name: "Messages" });
  await log.hover();
  const oldest = async () => {
    const text = (await articles(page).filter({ hasText: "Question " }).first().textContent()) ?? "";
    return Number(/Question (\d+)/.exec(text)?.[1]);
  };
  await expect(async () => {
    for (let turn = 0; turn < 5; turn += 1) await page.mouse.wheel(0, -2_000);
    expect(await oldest()).toBeLessThan(MESSAGES - 250);
  }).toPass({ timeout: 30_000 });
  expect(await articles(page).count(), "what is far away is let go of").toBeLessThanOrEqual(120);
  const figures = await page.evaluate(() => (window as unknown as { figures: { lcp: number; shift: number } }).figures);
  console.log(`largest contentful paint ${figures.lcp.toFixed(0)} ms, layout shift ${figures.shift.toFixed(4)}`);
  expect(figures.shift).toBeLessThan(0.02);

  await page.getByRole("button", { name: "Jump to latest" }).click();
  await seen(page, "The newest question");
  await expect(page.getByRole("button", { name: "Jump to latest" })).toBeHidden();

  // Found inside, though it is far from what is loaded.
  await expect(async () => {
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("");
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("aqueduct");
    await expect(page.getByRole("search").getByRole("status")).toHaveText("1 of 1", { timeout: 2_000 });
  }).toPass({ timeout: 40_000 });
  await seen(page, "one aqueduct");

  // Its permalink leads there, and on from there both ways.
  await articles(page).filter({ hasText: "one aqueduct" }).getByTitle("Link to this message").click();
  await expect(page).toHaveURL(/\?message=[0-9a-f-]{36}#m-/);
  await page.reload();
  await seen(page, "one aqueduct");
  await awake(page);
  await seen(page, "one aqueduct");
  const address = new URL(page.url());
  await page.goto(`${address.pathname}${address.hash}`);
  await seen(page, "one aqueduct");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
  }
});

test("without script there are links to what is earlier and later", async ({ browse, member, models, product }) => {
  await models.script([{ text: "So." }]);
  const task = await ask(member, "The newest question");
  fill(product.data, task, 100);
  const page = await browse({ javaScriptEnabled: false });
  await page.goto(`/sign-in?next=/p/${PROJECT}/conversations/${task}`);
  await fillSignIn(page, ADMIN.password);
  await seen(page, "The newest question");
  await page.getByRole("link", { name: "Earlier messages" }).click();
  await expect(articles(page).last()).not.toContainText("The newest question");
  await page.getByRole("link", { name: "Later messages" }).click();
  await expect(page.getByRole("article", { name: /Message from/ }).filter({ hasText: "The newest question" })).toHaveCount(1);
});

test("what one asked is edited and sent again as a branch beside what was said", async ({ member: page, models }) => {
  await models.script([
    { lastUser: "second way", text: "The second answer." },
    { lastUser: "first way", text: "The first answer." },
    { text: "Said." },
  ]);
  const task = await ask(page, "Begin");
  const answer = (text: string) => page.getByRole("paragraph").filter({ hasText: text });
  const field = page.getByRole("textbox", { name: "Message", exact: true });
  await field.fill("The first way");
  await page.keyboard.press("Control+Enter");
  await expect(answer("The first answer.")).toBeVisible();

  const mine = page.getByRole("article", { name: /Message from/ }).last();
  await mine.hover();
  await mine.getByRole("link", { name: "Edit and resend" }).click();
  const edit = page.getByRole("textbox", { name: "Edit the message" });
  await expect(edit).toBeFocused();
  await expect(edit).toHaveValue("The first way");
  await page.keyboard.press("Escape");
  await expect(edit).toBeHidden();
  await mine.hover();
  await mine.getByRole("link", { name: "Edit and resend" }).click();
  await edit.fill("The second way");
  await page.keyboard.press("Control+Enter");
  await expect(answer("The second answer.")).toBeVisible();
  await expect(answer("The first answer.")).toBeHidden();
  await expect(page).toHaveURL(/\?branch=[0-9a-f-]{36}/);
  const said = (await models.calls()).at(-1)!.messages.map((message) => message.content);
  expect(said, "what stands before it, and nothing of the other branch").toEqual(["Begin", "Said.", "The second way"]);

  const versions = page.getByRole("navigation", { name: "Versions of this message" });
  await expect(versions).toContainText("2 / 2");
  await versions.getByRole("link", { name: "Version before" }).click();
  await expect(answer("The first answer.")).toBeVisible();
  await expect(versions).toContainText("1 / 2");
  await expect(page).toHaveURL(/branch=main/);
  await page.reload();
  await expect(answer("The first answer.")).toBeVisible();

  // One goes on with the branch that one reads.
  await awake(page);
  await field.fill("Onwards");
  await page.keyboard.press("Control+Enter");
  await expect(articles(page)).toHaveCount(6);
  await expect(articles(page).last()).toContainText("Completed");
  await page.goto(`/p/${PROJECT}/conversations/${task}`);
  await expect(answer("The first answer."), "the branch that moved last").toBeVisible();
  await versions.getByRole("link", { name: "Version after" }).click();
  await expect(answer("The second answer.")).toBeVisible();
  await expect(articles(page).filter({ hasText: "Onwards" })).toHaveCount(0);
});

test("code is coloured and taken along", async ({ member: page, models, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await models.script([{ text: "See:\n\n```python\ndef f():\n    return \"<b>\"  # why\n```\n" }]);
  await ask(page, "Some code");
  const code = page.locator(".markdown pre");
  await expect(code.locator(".hl-keyword").first()).toHaveText("def");
  await expect(code.locator(".hl-comment")).toContainText("# why");
  const take = page.getByRole("button", { name: "Copy", exact: true }).and(page.locator("[data-take]"));
  await take.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('def f():\n    return "<b>"  # why\n');
});

test("news are marked until one has looked (B14)", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Said." }]);
  await page.goto(`/p/${PROJECT}/runs`);
  const { run, taskId } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  const section = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /Conversations/ });
  await expect(section).toContainText("1 unread");
  await page.goto(`/p/${PROJECT}/conversations`);
  const row = page.getByRole("link", { name: /, unread/ });
  await expect(row).toHaveCount(1);
  await row.click();
  await expect(page).toHaveURL(new RegExp(taskId));
  await expect(section).not.toContainText("unread");
  await page.goto(`/p/${PROJECT}/conversations`);
  await expect(row).toHaveCount(0);

  // What comes while one is elsewhere stands below a line.
  const next = await workspace.launch("lakes", {}, taskId);
  await expect.poll(async () => (await workspace.run(next.run)).status).toBe("completed");
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await expect(page.getByText("New", { exact: true })).toBeVisible();
  await awake(page);
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await expect(articles(page)).toHaveCount(4);
  await expect(page.getByText("New", { exact: true })).toHaveCount(0);
});
