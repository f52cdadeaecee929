// The inbox: items that need a person, on every page, until they are resolved (F5).

import type { Page } from "@playwright/test";

import { ADMIN, awake, expect, fillSignIn, PROJECT, test, type Workspace } from "../fixtures";

const CHECKED = {
  apiVersion: "troupe/v1",
  key: "checked",
  name: "Checked",
  steps: [
    { name: "Draft", prompt: "DRAFT" },
    { name: "Check", uses: "approval", prompt: "Good enough for the client?", inputMapping: { draft: "{{ context.Draft }}" } },
    { name: "Publish", prompt: "PUBLISH {{ context.Check }}" },
  ],
};

const rows = (page: Page) => page.getByRole("list", { name: "What waits" }).getByRole("listitem");

const inboxLink = (page: Page) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /Inbox/ });

async function ask(workspace: Workspace): Promise<number> {
  const { run } = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/checked/execute`, { input: {} });
  return run;
}

test("F5: a question appears by itself, counts everywhere, and is answered in place", async ({ member: page, workspace, models }) => {
  await models.script([{ lastUser: "DRAFT", text: "A bridge." }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, CHECKED);
  await page.goto(`/p/${PROJECT}/inbox`);
  await expect(page.getByText("Nothing waits for you")).toBeVisible();
  await expect(page).toHaveTitle("Inbox · Troupe");
  await awake(page);

  const run = await ask(workspace);
  await expect(rows(page)).toHaveCount(1);
  await expect(rows(page).first()).toContainText("Good enough for the client?");
  await expect(rows(page).first()).toContainText("A bridge.");
  await expect(inboxLink(page)).toContainText("1");
  await expect(page).toHaveTitle("(1) Inbox · Troupe");
  await page.goto(`/p/${PROJECT}/templates`);
  await expect(page).toHaveTitle("(1) Templates · Troupe");
  await awake(page);

  // By keyboard only: to the inbox, to the row, and back.
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await expect(rows(page)).toHaveCount(1);
  // Typed text stays when other items arrive.
  const note = rows(page).first().getByLabel("Note");
  await note.fill("Well done");
  const second = await ask(workspace);
  await expect(rows(page)).toHaveCount(2);
  const first = rows(page).filter({ hasText: `Run ${run} ` });
  await expect(first.getByLabel("Note")).toHaveValue("Well done");
  await first.getByRole("button", { name: "Approve" }).click();
  await expect(first).toHaveCount(0);
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await expect(page).toHaveTitle("(1) Inbox · Troupe");

  // Another user answers first.
  const other = rows(page).filter({ hasText: `Run ${second} ` });
  await workspace.rest.post(`/projects/${PROJECT}/runs/${second}/answer`, { stepRun: "1", decision: "approve" });
  await expect(other).toHaveCount(0);
  await expect(page.getByText("Nothing waits for you")).toBeVisible();
  await expect(page).toHaveTitle("Inbox · Troupe");
});

test("an answer that was too late is refused and says who was quicker", async ({ member: page, consoles, workspace, models }) => {
  consoles.allow(/status of 409/);
  await models.script([{ lastUser: "DRAFT", text: "A bridge." }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, CHECKED);
  const run = await ask(workspace);
  await expect.poll(async () => (await workspace.run(run)).status).toBe("waiting");
  await page.goto(`/p/${PROJECT}/inbox`);
  await expect(rows(page)).toHaveCount(1);
  await awake(page);
  // This page sends its answer only after the other one was accepted.
  await page.route(/\/api\/answer_step/, async (route) => {
    await workspace.rest.post(`/projects/${PROJECT}/runs/${run}/answer`, { stepRun: "1", decision: "reject", text: "No." });
    await route.continue();
  });
  await rows(page).first().getByRole("button", { name: "Approve" }).click();
  await expect(page.getByRole("region", { name: "Messages" }).getByText(/answered before, by Ada Admin|has ended/)).toBeVisible();
  await expect.poll(async () => (await workspace.run(run)).status).toBe("failed");
});

test("a failure waits until it is dismissed, which can be undone, or looked at", async ({ member: page, workspace, models }) => {
  await models.script([{ fault: { kind: "empty" } }]);
  await page.goto(`/p/${PROJECT}/inbox`);
  await expect(page.getByText("Nothing waits for you")).toBeVisible();
  await awake(page);
  const { run } = await workspace.launch("rivers");
  const row = rows(page).filter({ hasText: `Run ${run} ` });
  await expect(row).toHaveCount(1);
  await expect(row).toContainText("empty");
  await row.getByRole("button", { name: "Dismiss" }).click();
  await expect(row).toHaveCount(0);
  await expect(inboxLink(page)).not.toContainText("1");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(row).toHaveCount(1);
  await expect(inboxLink(page)).toContainText("1");

  // Opening the run marks its failure as seen.
  await row.getByRole("link", { name: "Open" }).click();
  await expect(page.getByRole("heading", { name: `Run ${run}` })).toBeVisible();
  await expect(page).toHaveTitle(`Run ${run} · Troupe`);
  await page.goto(`/p/${PROJECT}/inbox`);
  await expect(page.getByText("Nothing waits for you")).toBeVisible();
});

test("a failed run is rerun from the inbox", async ({ member: page, workspace, models }) => {
  await models.script([{ fault: { kind: "empty" }, times: 1 }, { text: "Fine." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("failed");
  await page.goto(`/p/${PROJECT}/inbox`);
  await rows(page).first().getByRole("button", { name: "Rerun…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Rerun" }).click();
  await expect(page.getByRole("heading", { name: `Run ${run + 1}` })).toBeVisible();
  await expect.poll(async () => (await workspace.run(run + 1)).status).toBe("completed");
  await expect(page).toHaveTitle(`Run ${run + 1} · Troupe`);
});

test("without script, the inbox shows what waits and a failure can be dismissed", async ({ browse, workspace, models }) => {
  await models.script([{ fault: { kind: "empty" } }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("failed");
  const page = await browse({ javaScriptEnabled: false });
  await page.goto(`/sign-in?next=/p/${PROJECT}/inbox`);
  await fillSignIn(page, ADMIN.password);
  await expect(rows(page)).toHaveCount(1);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByText("Nothing waits for you")).toBeVisible();
});
