// Conversations: of any length, opened at any message (B12, B17), edited into branches, searched, and with marks for
// messages that are new to a member (B14).

import { AxeBuilder } from "@axe-core/playwright";
import type { Locator, Page } from "@playwright/test";

import { ADMIN, awake, expect, fillSignIn, PROJECT, signIn, test } from "../fixtures";
import { isClean } from "../fixtures/clean";
import { fill } from "../fixtures/long";

const MESSAGES = 5_000;

/** Pastes as a user would. `fill` inserts line by line, which takes Chromium half a minute for thousands of lines. */
async function paste(page: Page, field: Locator, text: string): Promise<void> {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await field.focus();
  await page.keyboard.press("Control+V");
}

/** Sends a message in a new conversation and waits for the answer. */
async function ask(page: Page, text: string): Promise<string> {
  await page.goto(`/p/${PROJECT}/conversations/new`);
  const message = page.getByRole("textbox", { name: "Message", exact: true });
  if (text.length < 10_000) await message.fill(text);
  else await paste(page, message, text);
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
  // Layout shift during loading is tested elsewhere; this measures what scrolling adds.
  const measured = () => page.evaluate(() => (window as unknown as { figures: { lcp: number; shift: number } }).figures);
  const { shift: before } = await measured();

  // Scrolls back further than the page's maximum of messages.
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
  const figures = await measured();
  console.log(`largest contentful paint ${figures.lcp.toFixed(0)} ms, layout shift ${figures.shift.toFixed(4)}`);
  expect(figures.shift - before).toBeLessThan(0.02);

  // The last navigation counts, even if older messages are still loading.
  const release = await hold(page, /open_conversation/);
  const asked = page.waitForRequest(/open_conversation/);
  await page.mouse.wheel(0, -20_000);
  await asked;
  await page.getByRole("button", { name: "Jump to latest" }).click();
  release();
  await seen(page, "The newest question");
  await expect(page.getByRole("button", { name: "Jump to latest" })).toBeHidden();

  // The search finds a message far from the loaded ones.
  await expect(async () => {
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("");
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("aqueduct");
    await expect(page.getByRole("search").getByRole("status")).toHaveText("1 of 1", { timeout: 2_000 });
  }).toPass({ timeout: 40_000 });
  await seen(page, "one aqueduct");

  // The message's permalink opens it, and the page scrolls on in both directions.
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

  // A new message continues the branch being read.
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

test("a long message shows its beginning, and the whole of it where somebody asks", async ({ browse, member: page, models }) => {
  await models.script([{ text: "Said." }]);
  const text = Array.from({ length: 2_000 }, (_, line) => `Line ${line} of it.`).join("\n");
  const task = await ask(page, text);
  await page.reload();
  const mine = articles(page).first();
  await expect(mine).toContainText("Line 19 of it.");
  await expect(mine).not.toContainText("Line 20 of it.");
  const more = mine.getByRole("link", { name: /^Show all \(\d+ kB\)$/ });
  await expect(more).toHaveAttribute("aria-expanded", "false");
  await isClean(page);

  // By keyboard, and without moving the text above.
  await more.focus();
  const top = () => mine.evaluate((article) => article.getBoundingClientRect().top);
  const before = await top();
  await page.keyboard.press("Enter");
  const less = mine.getByRole("link", { name: "Show less" });
  await expect(less).toHaveAttribute("aria-expanded", "true");
  await expect(mine).toContainText("Line 1999 of it.");
  await expect.poll(async () => Math.abs((await top()) - before), "how far the message went").toBeLessThan(2);
  await less.focus();
  await page.keyboard.press("Enter");
  await expect(mine).not.toContainText("Line 1999 of it.");
  await expect(more, "one stays where one was").toBeInViewport();

  // Collapsed or not, the message is found, named and edited as a whole.
  await expect(async () => {
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("");
    await page.getByRole("searchbox", { name: "Find in conversation" }).fill("1500");
    await expect(page.getByRole("search").getByRole("status")).toHaveText("1 of 1", { timeout: 2_000 });
  }).toPass({ timeout: 40_000 });
  await expect(mine).toBeInViewport();
  await mine.getByTitle("Link to this message").click();
  await expect(page).toHaveURL(/\?message=/);
  await expect(mine).toBeInViewport();
  await expect(more).toBeVisible();
  await mine.hover();
  await mine.getByRole("link", { name: "Edit and resend" }).click();
  await expect(page.getByRole("textbox", { name: "Edit the message" })).toHaveValue(text);

  const plain = await browse({ javaScriptEnabled: false });
  await plain.goto(`/sign-in?next=/p/${PROJECT}/conversations/${task}`);
  await fillSignIn(plain, ADMIN.password);
  await expect(articles(plain).first()).not.toContainText("Line 1999 of it.");
  await plain.getByRole("link", { name: /^Show all/ }).click();
  await expect(articles(plain).first()).toContainText("Line 1999 of it.");
});

test("a conversation is renamed where one reads it, and lists show it at once, without marks", async ({
  browse,
  consoles,
  member: page,
  models,
}) => {
  consoles.allow(/status of 4\d\d/);
  await models.script([{ text: "It is **so**, says `git log`." }]);
  await ask(page, "# The **first** name\n\nof it");
  const heading = page.getByRole("heading", { level: 1 });
  await expect(heading).toHaveText("The first name");
  const other = await browse();
  await signIn(other);
  await other.goto(`/p/${PROJECT}/conversations`);
  await expect(other.getByRole("link", { name: /The first name/ })).toContainText("It is so, says git log.");

  await page.getByText("Rename", { exact: true }).click();
  const title = page.getByRole("textbox", { name: "Title" });
  await expect(title).toBeFocused();
  await expect(title).toHaveValue("The first name");
  await isClean(page);
  await page.keyboard.press("Escape");
  await expect(title).toBeHidden();
  await page.keyboard.press("Enter");
  await expect(title, "the focus was given back").toBeFocused();
  await title.fill("  ");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Must not be empty.")).toBeVisible();
  await title.fill("Rivers and lakes");
  await page.keyboard.press("Enter");
  await expect(heading).toHaveText("Rivers and lakes");
  await expect(title).toBeHidden();
  await expect(page).toHaveTitle(/Rivers and lakes/);
  await expect(other.getByRole("link", { name: /Rivers and lakes/ })).toBeVisible();
});

test("a template is run on what a message says (C6)", async ({ member: page, models }) => {
  await models.script([{ text: "Lakes are older than rivers." }]);
  await ask(page, "What about lakes?");
  const response = page.getByRole("article", { name: "Response" });
  await expect(response.first()).toContainText("Lakes are older than rivers.");
  const run = response.first().getByRole("button", { name: "Run a template on it" });
  await response.first().hover();
  await expect(run).toHaveCSS("opacity", "1");
  await run.click();
  const choose = page.getByLabel("Run a template", { exact: true });
  await expect(choose).toBeFocused();
  await expect(page.getByText("For the template that you choose:")).toContainText("Lakes are older");
  await isClean(page);
  await choose.selectOption({ label: "Two steps" });
  await expect(page.getByLabel("Topic")).toHaveValue("Lakes are older than rivers.");
  // Another message instead.
  const asked = page.getByRole("article", { name: /^Message from/ }).first();
  await asked.getByRole("button", { name: "Run a template on it" }).click();
  await choose.selectOption({ label: "Two steps" });
  await expect(page.getByLabel("Topic")).toHaveValue("What about lakes?");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(response).toHaveCount(2);
  await expect(page.getByText("For the template that you choose:")).toBeHidden();
  const asks = async () => (await models.calls()).flatMap((call) => call.messages.map(({ content }) => content)).join("\n");
  await expect.poll(asks).toContain("Draft about What about lakes?");
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

  // Messages that arrive while the user is elsewhere are below a line.
  const next = await workspace.launch("lakes", {}, taskId);
  await expect.poll(async () => (await workspace.run(next.run)).status).toBe("completed");
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await expect(page.getByText("New", { exact: true })).toBeVisible();
  await expect(section).not.toContainText("unread");
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await expect(articles(page)).toHaveCount(4);
  await expect(page.getByText("New", { exact: true })).toHaveCount(0);
});

/** Navigates as a link in the page would, with the client-side router. */
const follow = (page: Page, href: string) =>
  page.evaluate((href) => {
    const link = Object.assign(document.createElement("a"), { href });
    document.querySelector("main")!.append(link);
    link.click();
    link.remove();
  }, href);

/** Holds the page's requests to this server function until the returned function is called. */
async function hold(page: Page, name: RegExp): Promise<() => void> {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(name, async (route) => {
    await held;
    await route.continue();
  });
  return () => release();
}

test("an answer that was overtaken takes nothing back", async ({ member: page, models }) => {
  await models.script([{ lastUser: "Slow", text: "The **final** word.", hold: 0 }, { text: "Said." }]);
  await ask(page, "Begin");
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let looks = 0;
  let late = false;
  await page.route(/open_conversation/, async (route) => {
    looks += 1;
    const first = looks === 1;
    const response = await route.fetch();
    late = late || first;
    // This response has the older data and arrives last.
    if (first) await held;
    await route.fulfill({ response });
  });
  await page.getByRole("textbox", { name: "Message", exact: true }).fill("Slow");
  await page.keyboard.press("Control+Enter");
  await expect.poll(() => late, "a look at the end of the conversation").toBe(true);
  await models.release();
  const final = page.getByRole("log", { name: "Messages" }).locator("strong", { hasText: "final" });
  await expect(final).toBeVisible();

  const came = page.waitForResponse(/open_conversation/);
  release();
  await (await came).finished();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await expect(final).toBeVisible();
  await expect(page.getByRole("article", { name: "Response" }).last()).toContainText("Completed");
});

test("a page that is being left lives until the next one is there", async ({ member: page, models, workspace }) => {
  await models.script([{ lastUser: "Slow", text: "The slow answer.", hold: 0 }, { text: "Said." }]);
  const task = await ask(page, "Begin");
  const field = page.getByRole("textbox", { name: "Message", exact: true });
  const newest = page.getByRole("article", { name: "Response" }).last();
  const address = `${new URL(page.url()).pathname}?branch=main`;

  // To a message of the same conversation, while its run is live and ends.
  await field.fill("Slow, the first");
  await page.keyboard.press("Control+Enter");
  await expect(articles(page)).toHaveCount(4);
  await models.held();
  await expect(newest).toContainText(/Running[1-9]\d* s/);
  const there = await hold(page, /open_conversation/);
  await articles(page).first().getByTitle("Link to this message").click();
  await expect(page).toHaveURL(/\?message=/);
  const seconds = async () => Number(/Running(\d+) s/.exec((await newest.textContent()) ?? "")?.[1]);
  const then = await seconds();
  await expect.poll(seconds, "it ticks on").toBeGreaterThan(then);
  await models.release();
  await expect(newest, "the page that is still there shows what happens").toContainText("Completed");
  there();
  await seen(page, "Begin");
  await expect(articles(page)).toHaveCount(4);

  // Between the versions of a message, while a run of one branch is live.
  await models.script([{ lastUser: "Quick", text: "The quick answer." }, { text: "Said.", hold: 0 }]);
  const here = await workspace.launch("rivers", {}, task);
  const live = page.getByRole("region", { name: `Status of run ${here.run}`, exact: true });
  await page.goto(`/p/${PROJECT}/conversations/${task}`);
  await expect(live).toContainText(/[1-9] s/);
  await edit(page, "Slow, the first", "Quick, the second");
  await expect(page.getByRole("paragraph").filter({ hasText: "The quick answer." })).toBeVisible();
  const versions = page.getByRole("navigation", { name: "Versions of this message" });
  for (let turn = 0; turn < 3; turn += 1) {
    await versions.getByRole("link", { name: "Version before" }).click();
    await expect(live).toContainText(/[1-9] s/);
    await versions.getByRole("link", { name: "Version after" }).click();
    await expect(live).toHaveCount(0);
    await expect(versions).toContainText("2 / 2");
  }
  await versions.getByRole("link", { name: "Version before" }).click();
  await expect(live).toBeVisible();
  // Leaves the conversation: the pages that were left must make no further requests.
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Runs" })).toBeVisible();
  await expect(page).toHaveTitle(/Runs · Troupe/);

  // Between two conversations and two run pages, repeatedly, while both have a live run.
  const other = await workspace.launch("lakes");
  const elsewhere = `/p/${PROJECT}/conversations/${other.taskId}`;
  for (let turn = 0; turn < 6; turn += 1) {
    await follow(page, turn % 2 === 0 ? elsewhere : address);
    const run = turn % 2 === 0 ? other.run : here.run;
    await expect(page.getByRole("region", { name: `Status of run ${run}`, exact: true })).toBeVisible();
  }
  const runs = `/p/${PROJECT}/runs/`;
  for (let turn = 0; turn < 6; turn += 1) {
    const run = turn % 2 === 0 ? other.run : here.run;
    await follow(page, runs + run);
    await expect(page.getByRole("region", { name: `Status of run ${run}`, exact: true })).toBeVisible();
  }
  await follow(page, runs + other.run);
  const status = page.getByRole("region", { name: `Status of run ${other.run}`, exact: true });
  await expect(status).toBeVisible();
  const opened = await hold(page, /open_run/);
  await follow(page, runs + here.run);
  await expect(page).toHaveURL(new RegExp(`runs/${here.run}$`));
  await models.script([{ text: "Said." }]);
  await models.release();
  await expect(status, "the page that is still there shows what happens").toContainText("Completed");
  opened();
  await expect(page.getByRole("region", { name: `Status of run ${here.run}`, exact: true })).toContainText("Completed");
});

/** Edits the user's own message with this text, and sends the new text. */
async function edit(page: Page, text: string, instead: string): Promise<void> {
  const message = page.getByRole("article", { name: /Message from/ }).filter({ hasText: text });
  await message.hover();
  await message.getByRole("link", { name: "Edit and resend" }).click();
  await page.getByRole("textbox", { name: "Edit the message" }).fill(instead);
  await page.keyboard.press("Control+Enter");
}

test("what was typed into an edited message outlives the page and the session", async ({ consoles, member: page, models }) => {
  // Requests of the page after the session has ended.
  consoles.allow(/status of 401/);
  await models.script([{ text: "Said." }]);
  const task = await ask(page, "As it was");
  const field = page.getByRole("textbox", { name: "Edit the message" });
  const message = page.getByRole("article", { name: /Message from/ }).first();
  const open = async () => {
    await message.hover();
    await message.getByRole("link", { name: "Edit and resend" }).click();
  };
  await open();
  await field.fill("As it should have been");
  await page.keyboard.press("Escape");
  await expect(field, "one key too many throws nothing away").toHaveValue("As it should have been");
  await page.reload();
  await expect(field).toHaveValue("As it should have been");

  // The session ends while the user types.
  await page.context().clearCookies();
  await page.reload();
  await expect(page).toHaveURL(/sign-in/);
  await fillSignIn(page, ADMIN.password);
  await expect(page).toHaveURL(new RegExp(task));
  await expect(field).toHaveValue("As it should have been");

  // A cancelled edit stays cancelled, and a sent text is no longer a draft.
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(field).toBeHidden();
  await page.reload();
  await expect(field).toBeHidden();
  await open();
  await expect(field).toHaveValue("As it was");
  await field.fill("As it is now");
  await page.keyboard.press("Control+Enter");
  await expect(page.getByRole("navigation", { name: "Versions of this message" })).toContainText("2 / 2");
  await page.reload();
  await expect(field).toBeHidden();
});

test("files and export are those of the branch that one reads (A7, B9)", async ({ member: page, models, workspace }) => {
  const wrote = (content: string) => JSON.stringify({ files: [{ path: "plan.md", content }], summary: `Wrote ${content}.` });
  await models.script([
    { text: wrote("the first plan"), times: 1 },
    { text: wrote("the other plan"), times: 1 },
  ]);
  const steps = [{ name: "Build", prompt: "BUILD", with: { files: true } }];
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "build", name: "Build", steps });
  const build = (more: object): Promise<{ run: number; taskId: string }> =>
    workspace.rest.post(`/projects/${PROJECT}/templates/build/execute`, more);
  const ended = (run: number) => expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  const first = await build({});
  await page.goto(`/p/${PROJECT}/conversations/${first.taskId}`);
  // The file appears when it is written, and the URL holds the panel.
  const link = page.getByRole("link", { name: "1 file" });
  await link.click();
  await expect(page).toHaveURL(/panel=files/);
  const panel = page.getByRole("complementary", { name: "Files" });
  await expect(panel.getByRole("link", { name: /plan\.md/ })).toContainText(`v1`);
  await expect(panel.getByRole("link", { name: /plan\.md/ })).toContainText(`run ${first.run}`);
  await page.keyboard.press("Escape");
  await expect(panel).toBeHidden();
  await expect(link, "the focus is given back").toBeFocused();

  await ended(first.run);
  const messages: { items: { id: string }[] } = await workspace.rest.get(`/projects/${PROJECT}/tasks/${first.taskId}/messages`);
  const second = await build({ taskId: first.taskId, replaces: messages.items[0]!.id });
  await ended(second.run);
  await page.goto(`/p/${PROJECT}/conversations/${first.taskId}?panel=files`);
  const file = panel.getByRole("link", { name: /plan\.md/ });
  await expect(file).toContainText(`run ${second.run}`);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
  }
  await page.keyboard.press("Escape");
  await expect(panel).toBeHidden();

  const exported = async (name: string) => {
    const href = await page.getByRole("link", { name, exact: true }).getAttribute("href");
    const text = await (await page.request.get(href!)).text();
    return ["Wrote the first plan.", "Wrote the other plan."].map((words) => text.includes(words));
  };
  expect(await exported("Export")).toEqual([false, true]);
  await page.getByRole("link", { name: "Version before" }).click();
  await expect(page).toHaveURL(/branch=main/);
  await expect(page.getByRole("region", { name: `Status of run ${first.run}`, exact: true })).toBeVisible();
  await link.click();
  await expect(file, "what the other branch wrote is not here").toContainText(`run ${first.run}`);
  expect(await exported("Export")).toEqual([true, false]);
  expect(await exported("All branches")).toEqual([true, true]);
  await file.click();
  await expect(page).toHaveURL(new RegExp(`runs/${first.run}\\?tab=files`));
  await expect(page.getByText("the first plan")).toBeVisible();
});
