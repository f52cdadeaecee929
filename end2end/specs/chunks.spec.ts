// The browser fetches the code of rarely used pages on demand. A debug site is not split, so this needs a release.

import type { Page } from "@playwright/test";

import { awake, expect, PROJECT, test } from "../fixtures";

const CHUNK = /\/pkg\/troupe-(\w+)\.[0-9a-f]{16}\.wasm$/;
const ADMIN_CHUNK = /\/pkg\/troupe-split_admin\./;
// Messages of the browser and the loader about a file that could not be fetched.
const NOT_FETCHED = [/Failed to load resource/, /TypeError: Failed to/, /TypeError: NetworkError/];

test.beforeEach(async ({ request }) => {
  const manifest = await request.get("/pkg/__wasm_split_manifest.json");
  expect(manifest.ok(), "the site is a release: any other is in one piece").toBe(true);
});

/** The chunks that a page requests from now on, without repetition. */
function chunksOf(page: Page): Set<string> {
  const names = new Set<string>();
  page.on("request", (request) => {
    const name = CHUNK.exec(new URL(request.url()).pathname)?.[1];
    if (name) names.add(name);
  });
  return names;
}

/** The help opens on a key press only after hydration. */
async function expectAlive(page: Page): Promise<void> {
  const help = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await expect(async () => {
    await page.keyboard.press("?");
    await expect(help).toBeVisible({ timeout: 500 });
  }).toPass();
  await page.keyboard.press("Escape");
  await expect(help).toBeHidden();
}

function section(page: Page, name: string) {
  return page.getByRole("navigation").getByRole("link", { name });
}

test("a page loads its own chunk and no other, and says in its head which", async ({ member }) => {
  const chunks = chunksOf(member);
  await member.goto("/p/work/conversations");
  await expectAlive(member);
  expect([...chunks]).toEqual([]);

  await member.goto("/p/work/templates/two-steps");
  await expect(member.locator("head link[rel=preload][href*=split_design]")).toHaveCount(1);
  await expectAlive(member);
  expect([...chunks]).toContain("split_design");
  expect([...chunks]).not.toContain("split_admin");
});

test("a chunk comes on the way to its page, once, and may be kept for ever", async ({ member }) => {
  await member.goto("/p/work/runs");
  await expectAlive(member);
  const chunks = chunksOf(member);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await member.route(ADMIN_CHUNK, async (route) => {
    await held;
    await route.continue();
  });
  const answer = member.waitForResponse(ADMIN_CHUNK);
  await section(member, "Roles").click();
  // The previous page stays until the next one can be rendered.
  await expect.poll(() => [...chunks]).toContain("split_admin");
  await expect(member.getByRole("heading", { name: "Runs", level: 1 })).toBeVisible();
  release();
  expect((await answer).headers()["cache-control"]).toContain("immutable");
  await expect(member.getByRole("heading", { name: "Roles", level: 1 })).toBeVisible();
  await expect(member).toHaveURL(/\/p\/work\/roles$/);

  chunks.clear();
  await section(member, "Settings").click();
  await expect(member.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(member).toHaveURL(/\/settings/);
  await section(member, "Templates").click();
  await expect(member.getByRole("heading", { name: "Templates", level: 1 })).toBeVisible();
  expect([...chunks]).toContain("split_design");
  expect([...chunks]).not.toContain("split_admin");
});

test("a chunk that does not come is told, and comes when it is asked for again", async ({ member, consoles }) => {
  NOT_FETCHED.forEach((complaint) => consoles.allow(complaint));
  await member.goto("/p/work/runs");
  await expectAlive(member);
  await member.route(ADMIN_CHUNK, (route) => route.abort());
  await section(member, "Roles").click();
  await expect(member.getByRole("heading", { name: "This page did not load", level: 1 })).toBeVisible();
  await expect(member.getByRole("alert")).toContainText("could not be fetched");
  // The rest of the app still works.
  await section(member, "Conversations").click();
  await expect(member.getByRole("heading", { name: "Conversations", level: 1 })).toBeVisible();
  await section(member, "Roles").click();
  await expect(member.getByRole("heading", { name: "This page did not load", level: 1 })).toBeVisible();

  await member.unroute(ADMIN_CHUNK);
  await member.getByRole("button", { name: "Load it again" }).click();
  await expect(member.getByRole("heading", { name: "Roles", level: 1 })).toBeVisible();
  await expect(member).toHaveURL(/\/p\/work\/roles$/);
  await expectAlive(member);
});

test("the server's page stays when its chunk does not come, and says so", async ({ member, consoles }) => {
  NOT_FETCHED.forEach((complaint) => consoles.allow(complaint));
  await member.route(ADMIN_CHUNK, (route) => route.abort());
  // The page is never hydrated.
  await member.goto("/p/work/roles", { waitUntil: "load" });
  await expect(member.getByRole("alert")).toContainText("could not be fetched");
  await expect(member.getByRole("table", { name: "Roles" })).toBeVisible();

  await member.unroute(ADMIN_CHUNK);
  await member.getByRole("button", { name: "Load it again" }).click();
  await expectAlive(member);
  await expect(member.getByRole("alert")).toBeHidden();
});

test("what is entered before the script comes is taken over", async ({ member }) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await member.route(/\.wasm$/, async (route) => {
    await held;
    await route.continue();
  });
  await member.goto(`/p/${PROJECT}/search`, { waitUntil: "commit" });
  const field = member.getByLabel("Search in this project");
  await field.fill("viaduct");
  const other = await member.context().newPage();
  await other.route(/\.wasm$/, async (route) => {
    await held;
    await route.continue();
  });
  await other.goto(`/p/${PROJECT}/templates/two-steps/execute`, { waitUntil: "commit" });
  await other.getByLabel("Same for all").selectOption("junior_reviewer");
  await other.getByLabel("Topic").fill("rivers");

  release();
  await awake(member);
  await expect(field).toHaveValue("viaduct");
  await field.press("Enter");
  await expect(member).toHaveURL(/search\?q=viaduct$/);
  await awake(other);
  for (const step of ["Draft", "Polish"]) {
    await expect(other.getByLabel(`Role for ${step}`)).toHaveValue("junior_reviewer");
  }
  await expect(other.getByLabel("Topic")).toHaveValue("rivers");
});
