// Viewers are offered no action that the server would refuse; editors are offered all actions.

import type { Locator, Page } from "@playwright/test";

import { addMember, EDITOR, expect, PROJECT, signIn, TEMPLATE, test, VIEWER } from "../fixtures";
import { isClean } from "../fixtures/clean";
import { Conversation, numbered } from "../fixtures/conversation";

const BASE = `/p/${PROJECT}`;
const TEMPLATE_PAGE = `${BASE}/templates/${TEMPLATE.key}`;

/** A member's browser, and whether the member may edit. */
class Reader {
  constructor(
    readonly page: Page,
    readonly writes: boolean,
  ) {}

  get main(): Locator {
    return this.page.getByRole("main");
  }

  /** Opens a page and waits for its heading. */
  async open(path: string, heading: string | RegExp): Promise<void> {
    await this.page.goto(path);
    await expect(this.page.getByRole("heading", { level: 1, name: heading })).toBeVisible();
  }

  /** Expects controls that only editors are offered; a viewer's page is also checked for cleanness. */
  async offered(...controls: Locator[]): Promise<void> {
    for (const control of controls) {
      if (this.writes) await expect(control.first()).toBeVisible();
      else await expect(control).toHaveCount(0);
    }
    if (!this.writes) await isClean(this.page, { phone: true });
  }

  /** Expects the notice that replaces an action for viewers. */
  async told(text: string): Promise<void> {
    await expect(this.main.getByText(text, { exact: true })).toHaveCount(this.writes ? 0 : 1);
  }

  link(name: string | RegExp): Locator {
    return this.main.getByRole("link", { name, exact: true });
  }

  button(name: string | RegExp): Locator {
    return this.main.getByRole("button", { name, exact: true });
  }
}

async function templates(reader: Reader): Promise<void> {
  const { page } = reader;
  await reader.open(`${BASE}/templates`, "Templates");
  await expect(reader.link("Two steps")).toBeVisible();
  await reader.offered(reader.link("New template"), reader.link("Execute Two steps"));
  await page.keyboard.press("n");
  await expect(page).toHaveURL(reader.writes ? /templates\/new$/ : /templates$/);

  await reader.open(`${BASE}/templates/new`, "New template");
  await reader.told("You may read in this project; an editor can make templates.");
  await reader.offered(reader.link(/^Blank/));

  await reader.open(TEMPLATE_PAGE, "Two steps");
  await expect(reader.main.getByRole("heading", { name: "Polish" })).toBeVisible();
  await reader.offered(reader.link("Edit"), reader.link("Execute"), reader.button("More actions"));
  await reader.open(`${TEMPLATE_PAGE}?tab=versions`, "Two steps");
  await expect(reader.main.getByRole("link", { name: "What changed" })).toBeVisible();
  await reader.offered(reader.button("Restore version 1"));

  await page.goto(`${TEMPLATE_PAGE}/edit`);
  await expect(page).toHaveURL(reader.writes ? /two-steps\/edit$/ : /two-steps$/);
  await reader.offered(reader.button("Save as version 3"));
}

async function execute(reader: Reader): Promise<void> {
  await reader.open(`${TEMPLATE_PAGE}/execute`, "Execute Two steps");
  await expect(reader.link("Show the template")).toBeVisible();
  await reader.told("You may read in this project; an editor can run templates.");
  if (reader.writes) await reader.main.getByLabel("Role for Draft").selectOption("senior_reviewer");
  const { main } = reader;
  await reader.offered(
    main.getByLabel("Topic"),
    reader.button("Run"),
    reader.button("Compare with other roles"),
    reader.button("Save as preset…"),
  );
}

async function roles(reader: Reader): Promise<void> {
  const { main } = reader;
  await reader.open(`${BASE}/roles`, "Roles");
  await expect(reader.link("Senior reviewer")).toBeVisible();
  await reader.offered(reader.link("New role"));

  await reader.open(`${BASE}/roles/new`, "New role");
  await reader.told("You may read in this project; an editor can make roles.");
  await reader.offered(reader.button("Make the role"), main.getByRole("textbox", { name: "Name" }));

  await reader.open(`${BASE}/roles/senior_reviewer`, "Senior reviewer");
  const prompt = main.getByRole("textbox", { name: "Base prompt" });
  await reader.offered(
    prompt,
    reader.button("Save as version 2"),
    reader.button("Delete…"),
    reader.button("Try it"),
  );
  if (reader.writes) {
    await expect(prompt).toHaveValue("You are a senior reviewer.");
  } else {
    await expect(main.getByRole("region", { name: "Base prompt" })).toContainText("You are a senior reviewer.");
    await expect(main.getByText("scripted/scripted", { exact: true })).toBeVisible();
  }
}

async function conversations(reader: Reader): Promise<void> {
  await reader.open(`${BASE}/conversations`, "Conversations");
  await reader.offered(reader.link("New conversation"));
  await reader.open(`${BASE}/conversations/new`, "New conversation");
  await reader.told("You may read in this project; an editor can begin conversations.");
  await reader.offered(reader.main.getByRole("textbox", { name: "Message" }), reader.button("Send"));
}

/** Checks of the conversation while the run is live. */
async function liveRun(reader: Reader, taskId: string, run: number, earlier: number): Promise<void> {
  const { page, main } = reader;
  const conversation = await new Conversation(page).open(taskId);
  await conversation.isSaidToBe(run, "Running");
  await reader.told("You may read along here; editors write.");
  const stop = reader.button("Stop");
  const message = main.getByRole("textbox", { name: "Message" });
  await reader.offered(stop, message, reader.button("Send"), main.getByRole("combobox", { name: "Run a template" }));

  await reader.open(`${BASE}/runs/${run}`, `Run ${run}`);
  await reader.offered(stop);
  await reader.open(`${BASE}/dashboard`, "Live runs");
  await expect(main.getByRole("row").filter({ hasText: "Two steps" })).toBeVisible();
  await reader.offered(main.getByRole("button", { name: /^Stop/ }));

  await reader.open(`${BASE}/compare?run=${earlier}&run=${run}`, `Runs ${earlier} and ${run}`);
  await expect(main.getByRole("region", { name: "On the whole" })).toBeVisible();
  await reader.offered(stop, main.getByRole("group", { name: "Your verdict on the whole" }));
}

async function palette(reader: Reader): Promise<void> {
  const { page } = reader;
  await reader.open(`${BASE}/runs`, "Runs");
  await page.keyboard.press("Control+k");
  const offers = page.getByRole("listbox", { name: "What fits" });
  const option = (name: string | RegExp) => offers.getByRole("option", { name });
  const field = page.getByRole("combobox", { name: "Search and commands" });
  // The palette's own entries are offered.
  await field.fill("Theme: dark");
  await expect(option(/^Theme: dark/)).toBeVisible();
  for (const what of ["Execute Two steps", "New conversation", "New template", "New role"]) {
    await field.fill(what);
    await expect(option(`Search for “${what}”`)).toBeVisible();
    await expect(option(new RegExp(`^${what}`))).toHaveCount(reader.writes ? 1 : 0);
  }
  await page.keyboard.press("Escape");
}

test("a viewer reads everything in a project and is offered nothing that writes; an editor is", async ({
  browse,
  member,
  models,
  product,
  workspace,
}) => {
  test.slow();
  await addMember(member, product, VIEWER, "viewer");
  await addMember(member, product, EDITOR, "editor");
  await workspace.rest.put(`/projects/${PROJECT}/templates/${TEMPLATE.key}`, { ...TEMPLATE, description: "Writes twice." });
  await models.script([
    { lastUser: "Draft about rivers", text: "Said." },
    { lastUser: "Polish this: Said.", text: "Polished." },
    { lastUser: "Draft about hills", text: numbered(80), chunkSize: 10, hold: 3 },
    { text: "Polished." },
  ]);
  const earlier = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(earlier.run)).status).toBe("completed");
  const { run, taskId } = await workspace.launch("hills");
  await models.held();

  const readers: Reader[] = [];
  for (const { person, writes } of [
    { person: VIEWER, writes: false },
    { person: EDITOR, writes: true },
  ]) {
    const page = await browse();
    await signIn(page, person.password, person.email);
    const reader = new Reader(page, writes);
    readers.push(reader);
    await liveRun(reader, taskId, run, earlier.run);
    await new Conversation(page).open(taskId);
  }

  // When a run ends while the page is open, only the editor is offered a rerun.
  await models.release();
  for (const reader of readers) {
    await new Conversation(reader.page).isSaidToBe(run, "Completed");
    await reader.offered(reader.button("Rerun…"));
    await templates(reader);
    await execute(reader);
    await roles(reader);
    await conversations(reader);
    await palette(reader);
  }
});

test("what a viewer is not offered is not drawn first and taken away then", async ({ browse, member, product }) => {
  await addMember(member, product, VIEWER, "viewer");
  const page = await browse();
  await signIn(page, VIEWER.password, VIEWER.email);
  // The server-rendered pages, before any script.
  for (const [path, words] of [
    ["/templates", "New template"],
    ["/templates/two-steps", "More actions"],
    ["/templates/two-steps/execute", "Compare with other roles"],
    ["/roles", "New role"],
    ["/roles/new", "Make the role"],
    ["/roles/senior_reviewer", "Save as version 2"],
    ["/conversations/new", "composer-text"],
  ] as const) {
    const drawn = async (reader: Page) => (await reader.request.get(BASE + path)).text();
    expect(await drawn(member), `${path} of an admin`).toContain(words);
    expect(await drawn(page), `${path} of a viewer`).not.toContain(words);
  }

  // Also with navigation in the browser, if the server last rendered the sign-in page.
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Roles" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Roles" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Senior reviewer" })).toBeVisible();
  await expect(page.getByRole("link", { name: "New role" })).toHaveCount(0);
});
