// Providers as an admin sees them, and write-only keys (B6, B10).

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
  // As another tab may do between the server's response and the start of the script.
  await member.addInitScript(() => {
    document.cookie = "troupe_project=work; Path=/";
    document.cookie = "sidebar=collapsed; Path=/";
  });
  await member.goto("/settings/models");
  // The script makes this request, so hydration succeeded; a failure would be logged on the console.
  await expect(card(member, "scripted")).toContainText("Reachable");
});

test("a new provider leaves an empty form behind, and so does a token", async ({ member }) => {
  await member.goto("/settings/models");
  const add = card(member, "Add a provider");
  await add.getByLabel("Kind").selectOption("openai-compatible");
  await add.getByRole("textbox", { name: /^Key/ }).fill("dead");
  await add.getByLabel("Base URL").fill("http://127.0.0.1:9/v1/");
  await add.getByLabel("API key").fill("sk-typed-once");
  await add.getByRole("button", { name: "Add the provider" }).click();
  await expect(card(member, "dead")).toContainText("key stored");
  await expect(add.getByLabel("API key")).toHaveValue("");
  await expect(add.getByRole("textbox", { name: /^Key/ })).toHaveValue("");
  await expect(add.getByLabel("Base URL")).toHaveValue("");
  await expect(add.getByLabel("Kind")).toHaveValue("openai");

  await member.goto("/settings/tokens");
  const name = member.getByRole("textbox", { name: "Name" });
  await name.fill("a program");
  await member.getByRole("button", { name: "Make the token" }).click();
  await expect(member.getByText("Copy it now")).toBeVisible();
  await expect(name).toHaveValue("");
});

test("Members stays with its project, whatever another tab looks at", async ({ member, workspace }) => {
  await workspace.rest.post("/projects", { key: "other", name: "Other" });
  await member.goto(`/p/${PROJECT}/runs`);
  // As another tab does.
  await member.evaluate(() => {
    document.cookie = "troupe_project=other; Path=/";
  });
  await member.getByRole("navigation").getByRole("link", { name: "Settings" }).first().click();
  await member.getByRole("link", { name: "Members", exact: true }).click();
  const fact = member.getByText(/^In the project/);
  await expect(fact).toHaveText("In the project Work");
  await expect(member.getByRole("link", { name: "Members", exact: true })).toHaveAttribute("href", /project=work$/);
  await member.goto("/settings/members?project=work");
  await expect(fact).toHaveText("In the project Work");
});

test("a refusal on Members is told, and what was chosen goes back", async ({ consoles, member }) => {
  consoles.allow(/status of (404|409)/);
  await member.goto(`/settings/members?project=${PROJECT}`);
  const main = member.getByRole("main");
  const may = main.getByLabel(/^What .* may do$/);
  await may.selectOption("viewer");
  await expect(main.getByRole("alert")).toContainText("last admin of the project");
  await expect(may).toHaveValue("admin");

  await main.getByRole("button", { name: "Remove…" }).click();
  const asked = member.waitForResponse(/set_member/);
  await member.getByRole("dialog").getByRole("button", { name: "Remove the member" }).click();
  expect((await asked).status()).toBe(409);
  await expect(main.getByRole("alert")).toContainText("last admin of the project");

  await main.getByLabel("E-mail").fill("who@example.org");
  await main.getByRole("button", { name: "Add the member" }).click();
  await expect(main.getByText(/troupe user add who@example\.org/)).toBeVisible();
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

/** The card with this heading. */
function card(page: Page, title: string): Locator {
  return page.locator("section").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
}

/** The REST interface's responses about a run and the providers. */
function everything(workspace: Workspace, run: number): Promise<unknown[]> {
  const paths = ["/providers", `/projects/${PROJECT}/runs/${run}`, `/projects/${PROJECT}/runs/${run}/events`];
  return Promise.all(paths.map((path) => workspace.rest.get(path)));
}
