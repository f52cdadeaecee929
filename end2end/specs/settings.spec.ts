// Providers as an admin sees them, and a key that nobody sees again (B6, B10).

import type { Locator, Page } from "@playwright/test";

import { expect, type Workspace, PROJECT, SECRET, test } from "../fixtures";

test("a provider that answers says how many models it has; a dead one says why not (B6)", async ({ member }) => {
  await member.goto("/settings/models");
  const scripted = card(member, "scripted");
  await expect(scripted).toContainText("Reachable, 2 models");
  await expect(scripted).toContainText("key stored");

  const add = card(member, "Add a provider");
  await add.getByLabel("Kind").selectOption("openai-compatible");
  await add.getByRole("textbox", { name: /^Key/ }).fill("dead");
  // Nothing listens on port 9 of this machine.
  await add.getByLabel("Base URL").fill("http://127.0.0.1:9/v1/");
  await add.getByRole("button", { name: "Add the provider" }).click();
  const dead = card(member, "dead");
  await expect(dead).toContainText(/refused|could not be reached|cannot be reached/i);
  await expect(dead).not.toContainText("Reachable");
});

test("a provider that went away is found out by the test button", async ({ member, models }) => {
  await member.goto("/settings/models");
  const scripted = card(member, "scripted");
  await expect(scripted).toContainText("Reachable");
  await models.stop();
  await scripted.getByRole("button", { name: "Test" }).click();
  await expect(scripted).not.toContainText("Reachable");
});

test("a page comes to life as it was drawn, whatever has been remembered since", async ({ member }) => {
  await member.goto("about:blank");
  await member.context().clearCookies({ name: /^(troupe_project|sidebar)$/ });
  // As another tab, or the page before, may do between the server's answer and the start of the script.
  await member.addInitScript(() => {
    document.cookie = "troupe_project=work; Path=/";
    document.cookie = "sidebar=collapsed; Path=/";
  });
  await member.goto("/settings/models");
  // The script asks for this, so it is running; a page that broke off would say so on the console.
  await expect(card(member, "scripted")).toContainText("Reachable");
});

test("a provider's key is nowhere to be seen: page, answers, events, log (B10)", async ({
  member,
  models,
  product,
  workspace,
}) => {
  const heard: string[] = [];
  member.on("response", (response) => {
    if (!response.headers()["content-type"]?.includes("event-stream")) {
      void response.text().then((text) => heard.push(text), () => {});
    }
  });
  // A provider that quotes the key in its error, as some do.
  await models.script([{ fault: { kind: "status", status: 401, message: `bad key ${SECRET}` } }]);
  const { run, taskId } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("failed");

  for (const path of ["/settings/models", `/p/${PROJECT}/conversations/${taskId}`, `/p/${PROJECT}/runs/${run}?tab=events`]) {
    await member.goto(path);
    await expect(member.getByRole("heading", { level: 1 })).toBeVisible();
    expect(await member.content()).not.toContain(SECRET);
  }
  expect(heard.join("\n")).not.toContain(SECRET);
  expect(product.log()).not.toContain(SECRET);
  expect(JSON.stringify(await everything(workspace, run))).not.toContain(SECRET);
  const [call] = await models.calls();
  expect(call?.apiKey, "the provider itself does get it").toBe(SECRET);
});

/** The card under this heading. */
function card(page: Page, title: string): Locator {
  return page.locator("section").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
}

/** What the interface tells about a run and the providers. */
function everything(workspace: Workspace, run: number): Promise<unknown[]> {
  const paths = ["/providers", `/projects/${PROJECT}/runs/${run}`, `/projects/${PROJECT}/runs/${run}/events`];
  return Promise.all(paths.map((path) => workspace.rest.get(path)));
}
