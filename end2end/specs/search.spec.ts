// Finding and acting: search, the palette, the shortcuts, and live runs (E8).

import { ADMIN, awake, expect, fillSignIn, PROJECT, test } from "../fixtures";

test("search finds what was said, marks it, and leads there", async ({ member: page, workspace, models }) => {
  await models.script([{ text: "The viaduct needs <b>bearings</b>." }]);
  const { run, taskId } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await expect
    .poll(async () => (await workspace.rest.get<{ items: unknown[] }>(`/projects/${PROJECT}/search?q=viaduct`)).items.length)
    .toBeGreaterThan(0);
  await page.goto(`/p/${PROJECT}/search`);
  await expect(page.getByText("Find anything")).toBeVisible();
  await page.getByLabel("Search in this project").fill("viad bear");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/search\?q=viad/);
  const results = page.getByRole("list", { name: "Results" }).getByRole("listitem");
  await expect(results.first()).toContainText("<b>bearings</b>");
  await expect(results.first().locator("mark").first()).toHaveText("viaduct");
  await results.first().getByRole("link").click();
  await expect(page).toHaveURL(new RegExp(`conversations/${taskId}.*#m-`));

  await page.goto(`/p/${PROJECT}/search?q=${encodeURIComponent('" OR * NEAR(')}`);
  await expect(page.getByText("Nothing found")).toBeVisible();
});

test("search works without script", async ({ browse, workspace }) => {
  void workspace;
  const page = await browse({ javaScriptEnabled: false });
  await page.goto(`/sign-in?next=/p/${PROJECT}/search`);
  await fillSignIn(page, ADMIN.password);
  await expect
    .poll(async () => (await workspace.rest.get<{ items: unknown[] }>(`/projects/${PROJECT}/search?q=senior`)).items.length)
    .toBeGreaterThan(0);
  await page.getByLabel("Search in this project").fill("senior");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("list", { name: "Results" }).getByRole("link").first().click();
  await expect(page).toHaveURL(/roles\/senior_reviewer/);
});

test("the palette goes anywhere, by keyboard alone", async ({ member: page, workspace, models }) => {
  await models.script([{ text: "The viaduct needs bearings." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await page.goto(`/p/${PROJECT}/runs`);
  await expect(page.getByRole("heading", { name: "Runs" })).toBeVisible();
  const field = page.getByRole("combobox", { name: "Search and commands" });
  const offers = page.getByRole("listbox", { name: "What fits" });
  const chosen = offers.getByRole("option", { selected: true });

  await awake(page);
  await page.keyboard.press("Control+k");
  await expect(field).toBeFocused();
  await expect(offers.getByRole("option").first()).toBeVisible();
  await page.keyboard.type("exetwo");
  await expect(chosen).toContainText("Execute Two steps");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/two-steps\/execute/);
  await expect(field).toBeHidden();

  // The last choice comes first; arrows wrap around.
  await page.keyboard.press("Control+k");
  await expect(chosen).toContainText("Execute Two steps");
  await expect(offers.getByRole("option").nth(5)).toBeVisible();
  await page.keyboard.press("ArrowUp");
  await expect(chosen).not.toContainText("Execute Two steps");
  await page.keyboard.press("ArrowDown");
  await expect(chosen).toContainText("Execute Two steps");
  await expect(field).toHaveAttribute("aria-activedescendant", "palette-0");
  await page.keyboard.press("Escape");
  await expect(field).toBeHidden();

  // Entries that only the search finds.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("viaduct");
  await expect(offers.getByRole("option", { name: /The viaduct needs bearings/ })).toBeVisible();
  await field.fill("#1");
  await expect(offers.getByRole("option", { name: /Run 1 / })).toBeVisible();
  await offers.getByRole("option", { name: /Run 1 / }).click();
  await expect(page).toHaveURL(/runs\/1$/);

  await page.keyboard.press("Control+k");
  await page.keyboard.type("theme dark");
  await expect(chosen).toContainText("Theme: dark");
  await page.keyboard.press("Enter");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("link", { name: "Search" }).first().click();
  await expect(field).toBeFocused();
});

test("shortcuts lead everywhere and say so", async ({ member: page, workspace, models }) => {
  await models.script([{ text: "Fine." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await page.goto(`/p/${PROJECT}/templates`);
  await expect(page.getByRole("heading", { name: "Templates" })).toBeVisible();
  await awake(page);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  for (const words of ["Go to inbox", "Go to live runs", "Search and commands", "New template", "Next row", "Execute"]) {
    await expect(help.getByText(words, { exact: false }).first()).toBeVisible();
  }
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await expect(page.getByRole("link", { name: "Two steps", exact: true })).toBeFocused();
  await page.keyboard.press("e");
  await expect(page).toHaveURL(/two-steps\/execute/);
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await expect(page.getByRole("heading", { name: "Templates" })).toBeVisible();
  await page.keyboard.press("n");
  await expect(page).toHaveURL(/templates\/new/);
  await page.goto(`/p/${PROJECT}/conversations`);
  await expect(page.getByRole("heading", { name: "Conversations" })).toBeVisible();
  await awake(page);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/conversations\/[0-9a-f-]{36}/);
});

test("E8: the dashboard shows every live run, where it is, and stops it", async ({ member: page, workspace, models }) => {
  await models.script([
    { lastUser: "Draft about", text: "Drafted." },
    { lastUser: "Polish", text: "Slow", hold: 0 },
  ]);
  await page.goto(`/p/${PROJECT}/dashboard`);
  await expect(page.getByText("Nothing is running")).toBeVisible();
  await awake(page);
  const { run } = await workspace.launch("rivers", { Polish: "senior_reviewer" });
  const row = page.getByRole("table", { name: "Live runs" }).getByRole("row").filter({ hasText: "Two steps" });
  await expect(row).toContainText("Running");
  await expect(row).toContainText("1 of 2");
  await expect(row).toContainText("Polish");
  await expect(row).toContainText("senior_reviewer");
  await expect(page.getByText("calls under way")).toBeVisible();
  // The top bar's count equals the rows of the dashboard.
  await page.goto(`/p/${PROJECT}/roles`);
  await page.getByRole("link", { name: "1 live" }).click();
  await expect(page).toHaveURL(/dashboard/);
  await row.getByRole("button", { name: "Stop" }).click();
  await expect(row).toHaveCount(0);
  await expect(page.getByText("1 cancelled")).toBeVisible();
  await expect(page.getByRole("link", { name: /live/ })).toHaveCount(0);
  expect((await workspace.run(run)).status).toBe("cancelled");
});

test("what was typed outlives the session", async ({ consoles, member: page, workspace }) => {
  // Requests of the page after the session has ended.
  consoles.allow(/status of 401/);
  const { taskId } = await workspace.launch("rivers");
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await page.getByLabel("Message", { exact: true }).fill("Half a thou");
  await page.getByLabel("Message", { exact: true }).press("g");
  await page.context().clearCookies();
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  await fillSignIn(page, ADMIN.password);
  await expect(page.getByLabel("Message", { exact: true })).toHaveValue("Half a thoug");
});

test("a page says when there is no network, and that it is back", async ({ member: page, consoles }) => {
  consoles.allow(/ERR_INTERNET_DISCONNECTED/);
  await page.goto(`/p/${PROJECT}/roles`);
  await expect(page.getByRole("heading", { name: "Roles" })).toBeVisible();
  await awake(page);
  await page.context().setOffline(true);
  await expect(page.getByText("You are offline")).toBeVisible();
  await page.context().setOffline(false);
  await expect(page.getByText("You are offline")).toBeHidden();
});
