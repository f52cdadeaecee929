// The page of a run: its timeline, for runs of any length and any number of steps, and its report.

import { AxeBuilder } from "@axe-core/playwright";

import { expect, PROJECT, signIn, test } from "../fixtures";

const STEPS = 600;

test("a run of hundreds of steps has a timeline of which a part is on the page", async ({ member: page, models, workspace }) => {
  test.slow();
  await models.script([{ text: "Said." }]);
  const steps = Array.from({ length: STEPS }, (_, place) => ({ name: `Step ${place}`, prompt: "Go", dependsOn: [] }));
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "wide", name: "Wide", steps });
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/wide/execute`, { input: {} });
  await expect.poll(async () => (await workspace.run(run)).status, { timeout: 90_000 }).toBe("completed");
  await page.goto(`/p/${PROJECT}/runs/${run}`);
  const rows = page.getByRole("list", { name: "Steps", exact: true }).locator(".timeline-row");
  expect(await rows.count()).toBeLessThanOrEqual(120);
  await expect(rows.first()).toContainText("Step 0");
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await expect(rows.last()).toContainText(`Step ${STEPS - 1}`);
  await expect(rows.last()).toBeInViewport();
  expect(await rows.count()).toBeLessThanOrEqual(120);
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight / 2));
  await expect(page.getByText(`Step ${STEPS / 2}`, { exact: true })).toBeAttached();
});

test("a forEach of a thousand items has its rows where one looks", async ({ member: page, models, workspace }) => {
  test.slow();
  const list = JSON.stringify(Array.from({ length: 1000 }, (_, at) => `place ${at}`));
  await models.script([{ lastUser: "LIST", text: list }, { text: "Said." }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "many",
    name: "Many",
    steps: [
      { name: "List", prompt: "LIST", outputSchema: { type: "array" } },
      { name: "Each", forEach: "context.List", prompt: "EACH {{ index }}" },
    ],
  });
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/many/execute`, { input: {} });
  await expect.poll(async () => (await workspace.run(run)).status, { timeout: 90_000 }).toBe("completed");
  await page.goto(`/p/${PROJECT}/runs/${run}`);
  const rows = page.getByRole("list", { name: "Items of Each" }).getByRole("link");
  expect(await rows.count()).toBe(50);
  await page.getByRole("button", { name: "Show all 1000" }).click();
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await expect(rows.last()).toContainText("[999]");
  await expect(rows.last()).toBeInViewport();
  expect(await rows.count()).toBeLessThanOrEqual(120);
});

test("the timeline marks what the run's length came from", async ({ member: page, models, workspace }) => {
  await models.script([{ lastUser: "SLOW", text: "Said.", firstTokenMs: 600 }, { text: "Said." }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "path",
    name: "Path",
    steps: [
      { name: "Quick", prompt: "QUICK", dependsOn: [] },
      { name: "Slow", prompt: "SLOW", dependsOn: [] },
      { name: "Join", prompt: "JOIN", dependsOn: ["Quick", "Slow"] },
    ],
  });
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/path/execute`, { input: {} });
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await page.goto(`/p/${PROJECT}/runs/${run}`);
  const steps = page.getByRole("list", { name: "Steps", exact: true });
  await expect(steps.getByRole("link", { name: /critical path/ })).toHaveCount(2);
  await expect(steps.getByRole("link", { name: /Quick/ })).not.toContainText("critical path");
});

test("who follows a live run sees its newest step, until they go elsewhere", async ({ member: page, models, workspace }) => {
  await models.script([{ lastUser: "Polish", text: "Held back for long", chunkSize: 4, hold: 1 }, { text: "Said." }]);
  const { run } = await workspace.launch("rivers");
  await page.goto(`/p/${PROJECT}/runs/${run}`);
  const follow = page.getByLabel("Follow newest");
  await follow.check();
  await expect(page.getByRole("list", { name: "Steps", exact: true }).getByRole("link", { name: /Polish/ })).toBeInViewport();
  await page.mouse.wheel(0, 300);
  await expect(follow).not.toBeChecked();
  await models.release();
  await expect(follow).toBeHidden();
});

test("who follows a forEach sees its newest item, and stays where they scroll to (F3)", async ({ member: page, models, workspace }) => {
  const list = JSON.stringify(Array.from({ length: 90 }, (_, at) => `place ${at}`));
  await models.script([
    { lastUser: "LIST", text: list },
    { lastUser: "EACH 80", text: "Held back for long", chunkSize: 4, hold: 1 },
    { text: "Said." },
  ]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "each",
    name: "Each",
    steps: [
      { name: "List", prompt: "LIST", outputSchema: { type: "array" } },
      { name: "Each", forEach: "context.List", maxParallel: 1, prompt: "EACH {{ index }}" },
    ],
  });
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/each/execute`, { input: {} });
  await page.goto(`/p/${PROJECT}/runs/${run}`);
  const follow = page.getByLabel("Follow newest");
  await follow.check();
  // The item is below "Show all", far down.
  const newest = page.getByRole("list", { name: "Items of Each" }).getByRole("link", { name: /\[80\]/ });
  await expect(newest).toBeInViewport();
  await expect(newest).toHaveAttribute("data-newest", "true");
  await page.mouse.wheel(0, -4000);
  await expect(follow).not.toBeChecked();
  await expect(newest).not.toBeInViewport();
  const there = await page.evaluate(() => window.scrollY);
  await models.release();
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await expect(follow).toBeHidden();
  expect(await page.evaluate(() => window.scrollY)).toBe(there);
});

test("whoever travels in time sees the files and events of that moment (F3)", async ({ member: page, models, workspace }) => {
  const files = (path: string) => JSON.stringify({ files: [{ path, content: "x" }], summary: "Done." });
  await models.script([{ lastUser: "ONE", text: files("one.md") }, { lastUser: "TWO", text: files("two.md") }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "writes",
    name: "Writes",
    steps: [
      { name: "One", prompt: "ONE", with: { files: true } },
      { name: "Two", prompt: "TWO", with: { files: true } },
    ],
  });
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/writes/execute`, { input: {} });
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  const log = await workspace.rest.get<{ items: { seq: number; kind: string }[] }>(`/projects/${PROJECT}/runs/${run}/events`);
  const written = log.items.filter(({ kind }) => kind === "fileWritten").map(({ seq }) => seq);
  expect(written).toHaveLength(2);
  const list = page.getByRole("list", { name: "Files" });
  for (const [at, names] of [
    [written[1]!, ["one.md", "two.md"]],
    [written[1]! - 1, ["one.md"]],
    [written[0]! - 1, []],
  ] as const) {
    await page.goto(`/p/${PROJECT}/runs/${run}?tab=files&at=${at}`);
    await expect(page.getByRole("region", { name: "Time travel" })).toContainText(`Event ${at} of`);
    await expect(list.locator(".file-name")).toHaveText([...names]);
  }
  await page.goto(`/p/${PROJECT}/runs/${run}?tab=events&at=${written[0]}`);
  await expect(page.getByRole("region", { name: "Time travel" })).toContainText(`Event ${written[0]} of`);
  await expect(page.getByRole("table", { name: "Events" }).locator("tbody tr")).toHaveCount(written[0]!);
});

test("a run is printed as a report, without what one works it with (B17)", async ({ member: page, models, workspace }) => {
  await models.script([{ lastUser: "Draft", text: "The draft says <b>so</b>." }, { fault: { kind: "status", status: 401 } }]);
  const { run } = await workspace.launch("rivers", { Draft: "senior_reviewer" });
  await expect.poll(async () => (await workspace.run(run)).status).toBe("failed");
  await page.goto(`/p/${PROJECT}/runs/${run}?tab=report`);
  const report = page.getByRole("article", { name: "Report" });
  await expect(report).toContainText("The draft says <b>so</b>.");
  await expect(report).toContainText("senior_reviewer");
  await expect(report).toContainText("rivers");
  await expect(report).toContainText("auth");
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
  await page.emulateMedia({ media: "print" });
  await expect(report).toBeVisible();
  for (const part of [page.getByRole("navigation", { name: "Main" }), page.locator(".top-bar"), page.getByRole("button").first()]) {
    await expect(part).toBeHidden();
  }
});

test("a report tells times by its reader's clock, in print too (B17)", async ({ browse, models, workspace }) => {
  await models.script([{ text: "Said." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  const { createdAt } = await workspace.rest.get<{ createdAt: string }>(`/projects/${PROJECT}/runs/${run}`);
  const page = await browse({ timezoneId: "Asia/Tokyo", locale: "de-DE" });
  await signIn(page);
  await page.goto(`/p/${PROJECT}/runs/${run}?tab=report`);
  const started = page.getByRole("article", { name: "Report" }).locator("time").first();
  await expect(started).toHaveAttribute("datetime", createdAt);
  const local = new Date(createdAt).toLocaleString("de-DE", { timeZone: "Asia/Tokyo", timeZoneName: "short" });
  await expect(started).toHaveText(local);
  await page.emulateMedia({ media: "print" });
  await expect(started).toBeVisible();
  // Without script, times are in UTC and labelled so.
  const plain = await browse({ javaScriptEnabled: false });
  await signIn(plain);
  await plain.goto(`/p/${PROJECT}/runs/${run}?tab=report`);
  await expect(plain.getByRole("article", { name: "Report" }).locator("time").first()).toContainText(/:\d\d UTC$/);
});

test("the palette is clean while it is open, and a lost connection hides nothing", async ({ member: page, workspace, product, consoles }) => {
  void workspace;
  consoles.allow(/Failed to load resource|ERR_CONNECTION_REFUSED|EventSource/);
  await page.goto(`/p/${PROJECT}/runs`);
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Search and commands" })).toBeFocused();
  await expect(page.getByRole("listbox", { name: "What fits" }).getByRole("option").first()).toBeVisible();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
  }
  await page.keyboard.press("Escape");
  await page.context().setOffline(true);
  const notice = page.getByText("You are offline");
  await expect(notice).toBeVisible();
  for (const width of [1440, 360]) {
    await page.setViewportSize({ width, height: 780 });
    const [said, title] = await Promise.all([notice.boundingBox(), page.getByRole("heading", { level: 1 }).boundingBox()]);
    expect(said!.y + said!.height, "it stands above the title").toBeLessThanOrEqual(title!.y);
  }
  void product;
  await page.context().setOffline(false);
});
