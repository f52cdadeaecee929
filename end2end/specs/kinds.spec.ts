// Steps beyond a single prompt: a person's decision, a list of items, a child run, files; and reruns from a step (A7,
// E4, E7, F1, F2, F5).

import type { Locator, Page } from "@playwright/test";

import { awake, expect, PROJECT, signIn, test, type Launched, type Workspace } from "../fixtures";
import { isClean } from "../fixtures/clean";
import { Conversation } from "../fixtures/conversation";

type Step = Record<string, unknown> & { name: string };

async function launch(workspace: Workspace, key: string, steps: Step[], input: unknown = {}): Promise<Launched> {
  const template = { apiVersion: "troupe/v1", key, name: key, steps };
  await workspace.rest.post(`/projects/${PROJECT}/templates`, template);
  return workspace.rest.post(`/projects/${PROJECT}/templates/${key}/execute`, { input });
}

async function ends(workspace: Workspace, run: number, status: string): Promise<void> {
  await expect.poll(async () => (await workspace.run(run)).status).toBe(status);
}

const runPage = (run: number, query = "") => `/p/${PROJECT}/runs/${run}${query}`;
const question = (page: Page, step: string) => page.getByRole("region", { name: `${step} waits for a person` });
/** A step's row in the timeline, including its items. */
const row = (page: Page, name: string) =>
  page.getByRole("list", { name: "Steps", exact: true }).locator(":scope > li").filter({ hasText: name });
const fact = (page: Page, name: string): Locator =>
  page.locator("dl > div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd").first();

const CHECKED: Step[] = [
  { name: "Draft", prompt: "Draft" },
  {
    name: "Check",
    uses: "approval",
    prompt: "Is this good enough for {{ context.input.who }}?",
    inputMapping: { draft: "{{ context.Draft }}" },
    timeout: 3_600_000,
  },
  { name: "Publish", prompt: "Publish: {{ context.Check }}" },
];

test("a person is asked, changes what is proposed, and the run goes on with that (F1, F5)", async ({
  browse,
  member,
  models,
  workspace,
}) => {
  await models.script([{ lastUser: "Publish:", text: "It is out." }, { text: "A first draft." }]);
  const { run, taskId } = await launch(workspace, "checked", CHECKED, { who: "Ada" });
  const conversation = await new Conversation(member).open(taskId);
  await conversation.isSaidToBe(run, "Waiting");
  const asked = question(member, "Check");
  await expect(asked).toContainText("Is this good enough for Ada?");
  await expect(asked.getByText("A first draft.", { exact: true })).toBeVisible();
  await expect(asked).toContainText("Rejects by itself in 59 m");

  const other = await browse();
  await signIn(other);
  await other.goto(runPage(run));
  await expect(question(other, "Check")).toBeVisible();

  // The question survives a reload of the page.
  await member.reload();
  await conversation.isSaidToBe(run, "Waiting");
  await asked.getByRole("button", { name: "Change…" }).click();
  const instead = asked.getByLabel("What the step gives instead");
  await expect(instead).toHaveValue("A first draft.");
  await isClean(member, { phone: true, exclude: "iframe" });
  await instead.fill("A better draft.");
  await asked.getByLabel("Note").fill("shorter");
  await asked.getByRole("button", { name: "Approve as changed" }).click();

  await conversation.isSaidToBe(run, "Completed");
  await expect(asked).toBeHidden();
  await expect(question(other, "Check"), "it gives way on every page").toBeHidden();
  await conversation.unfold(run);
  await expect(conversation.step(run, "Check")).toContainText("Changed and approved by Ada Admin: shorter");
  expect((await models.calls()).at(-1)?.messages.at(-1)?.content).toBe("Publish: A better draft.");

  await other.goto(runPage(run, "?step=1"));
  await expect(other.getByRole("complementary", { name: "Check" })).toContainText(
    "Changed and approved by Ada Admin: shorter",
  );
});

test("values are changed as JSON, and what is none is said where it stands; a rejection ends the run (F5)", async ({
  consoles,
  member,
  models,
  workspace,
}) => {
  consoles.allow(/status of 422/);
  await models.script([{ text: "never asked" }]);
  const steps: Step[] = [
    { name: "Check", uses: "approval", prompt: "Fine?", inputMapping: { plan: "{{ context.input.plan }}" } },
  ];
  const { run } = await launch(workspace, "valued", steps, { plan: { days: 3 } });
  await ends(workspace, run, "waiting");
  await member.goto(runPage(run));
  const asked = question(member, "Check");
  await expect(asked.getByText('"days": 3')).toBeVisible();
  await asked.getByRole("button", { name: "Change…" }).click();
  await asked.getByLabel("What the step gives instead").fill("{days: 4}");
  await asked.getByRole("button", { name: "Approve as changed" }).click();
  await expect(asked).toContainText("Is no JSON");
  await asked.getByRole("button", { name: "Keep the proposal" }).click();
  await asked.getByLabel("Note").fill("too long");
  await asked.getByRole("button", { name: "Reject" }).click();
  await expect(asked).toBeHidden();
  await ends(workspace, run, "failed");
  await expect(member.getByRole("group", { name: "What went wrong" })).toContainText("Rejected by Ada Admin: too long");
});

test("a question without words of its own shows what came before; who rejected it is said, and what helps (F5)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([{ text: "A first draft." }]);
  const steps: Step[] = [
    { name: "Draft", prompt: "Draft" },
    { name: "Check", uses: "approval", timeout: 3_600_000 },
  ];
  const { run } = await launch(workspace, "unasked", steps);
  await ends(workspace, run, "waiting");
  for (const path of [`/p/${PROJECT}/inbox`, runPage(run)]) {
    await member.goto(path);
    const asked = question(member, "Check");
    await expect(asked).toContainText("It asks nothing in particular");
    await expect(asked).toContainText("Draft gave");
    await expect(asked.getByText("A first draft.", { exact: true })).toBeVisible();
    await expect(asked).toContainText("Rejects by itself in 59 m");
    await isClean(member, { phone: true, exclude: "iframe" });
  }
  await question(member, "Check").getByLabel("Note").fill("not yet");
  await question(member, "Check").getByRole("button", { name: "Reject" }).click();
  await ends(workspace, run, "failed");
  const told = member.getByRole("group", { name: "What went wrong" });
  await expect(told).toContainText("Check: Rejected by Ada Admin: not yet");
  await expect(told).not.toContainText("role");
  await isClean(member, { phone: true, exclude: "iframe" });
  await told.getByRole("button", { name: "Rerun from a step…" }).click();
  const dialog = member.getByRole("dialog", { name: `Rerun run ${run}` });
  await expect(dialog.getByLabel("From step")).toHaveValue("Check");
  await dialog.getByRole("button", { name: "Rerun", exact: true }).click();
  await expect(member.getByRole("heading", { name: `Run ${run + 1}` })).toBeVisible();
  await ends(workspace, run + 1, "waiting");
});

test("a step runs for every item; failed ones run again alone (E4, E7, F2)", async ({ member, models, workspace }) => {
  const fault = { kind: "status", status: 401 };
  await models.script([{ lastUser: "Look at b", fault, times: 1 }, { lastUser: "Look at", text: "Seen." }, { text: "Joined." }]);
  const steps: Step[] = [
    { name: "Each", forEach: "{{ context.input.list }}", prompt: "Look at {{ item }}" },
    { name: "Join", prompt: "Join {{ context.Each | length }}", dependsOn: ["Each"] },
  ];
  const { run, taskId } = await launch(workspace, "fan", steps, { list: ["a", "b", "c"] });
  await ends(workspace, run, "failed");
  const conversation = await new Conversation(member).open(taskId);
  await conversation.unfold(run);
  await expect(conversation.step(run, "Each").first()).toContainText("3 items, 1 failed");

  await member.goto(runPage(run));
  const items = member.getByRole("list", { name: "Items of Each" });
  await expect(items.getByRole("listitem")).toHaveCount(3);
  await items.getByRole("link", { name: "[1]" }).click();
  await expect(member).toHaveURL(/step=0\.1/);
  const panel = member.getByRole("complementary", { name: "Each [1]" });
  await expect(panel).toContainText("does not accept the API key");
  await isClean(member, { phone: true, exclude: "iframe" });
  await panel.getByRole("link", { name: "Close panel" }).click();

  const calls = (await models.calls()).length;
  await member.getByRole("button", { name: "Rerun…" }).click();
  const dialog = member.getByRole("dialog", { name: `Rerun run ${run}` });
  await expect(dialog.getByLabel("From step")).toHaveValue("Each");
  await expect(dialog.getByLabel("Items")).toHaveValue("failed");
  await isClean(member, { phone: true, exclude: "iframe" });
  await dialog.getByRole("button", { name: "Rerun", exact: true }).click();
  await expect(member).not.toHaveURL(new RegExp(`/runs/${run}$`));
  await expect(member.getByRole("region", { name: /^Status of run/ })).toContainText("Completed");
  await expect(fact(member, "Forked from")).toHaveText(`run ${run} at Each`);
  await expect(items.getByRole("listitem").first()).toContainText("reused");
  expect((await models.calls()).slice(calls).map((call) => call.messages.at(-1)?.content)).toEqual([
    "Look at b",
    "Join 3",
  ]);
});

test("many items don't fill the page until they are asked for (E4)", async ({ member, models, workspace }) => {
  await models.script([{ text: "Seen." }]);
  const steps: Step[] = [{ name: "Each", forEach: "range(120) | list", prompt: "Look at {{ item }}" }];
  const { run } = await launch(workspace, "many", steps);
  await ends(workspace, run, "completed");
  await member.goto(runPage(run));
  const items = member.getByRole("list", { name: "Items of Each" }).getByRole("listitem");
  await expect(items).toHaveCount(50);
  await member.getByRole("button", { name: "Show all 120" }).click();
  await expect(items).toHaveCount(120);
});

test("files have versions, a preview in a sandbox, and what changed; the message leads to them (A7)", async ({
  member,
  models,
  workspace,
}) => {
  const made = { files: [{ path: "calculator.html", content: "<h1>Sum</h1>\n<b>add</b>\n" }], summary: "Made." };
  const edits = [{ search: "add", replace: "multiply" }];
  const edited = { files: [{ path: "calculator.html", edits }], summary: "Edited." };
  await models.script([
    { lastUser: "Build", text: JSON.stringify(made) },
    { lastUser: "Mend", text: JSON.stringify(edited) },
  ]);
  const steps: Step[] = [
    { name: "Build", prompt: "Build", with: { files: true } },
    { name: "Mend", prompt: "Mend", with: { files: true }, dependsOn: ["Build"] },
  ];
  const { run, taskId } = await launch(workspace, "build", steps);
  await ends(workspace, run, "completed");
  const conversation = await new Conversation(member).open(taskId);
  await expect(conversation.status(run)).toContainText("calculator.html v2");
  await conversation.status(run).getByRole("link", { name: "calculator.html" }).click();

  await expect(member).toHaveURL(/tab=files&file=calculator\.html/);
  await awake(member);
  const file = member.getByRole("region", { name: "calculator.html" });
  const preview = member.getByTitle("Preview of calculator.html");
  await expect(preview).toHaveAttribute("sandbox", "allow-scripts");
  await expect(preview).toHaveAttribute("src", `/api/v1/projects/${PROJECT}/runs/${run}/files/calculator.html?version=2`);
  await expect(preview.contentFrame().getByText("multiply")).toBeVisible();
  await file.getByRole("link", { name: "Changes" }).click();
  const changes = file.getByRole("region", { name: "Changes" });
  await expect(changes).toContainText("-<b>add</b>");
  await expect(changes).toContainText("+<b>multiply</b>");
  await expect(file.getByRole("link", { name: "Changes" }), "the keyboard goes on from there").toBeFocused();
  await isClean(member, { phone: true, exclude: "iframe" });
  await file.getByRole("link", { name: "v1" }).click();
  await file.getByRole("link", { name: "Text" }).click();
  await expect(file.getByRole("region", { name: "Text of calculator.html" })).toHaveText("<h1>Sum</h1>\n<b>add</b>\n");
  await expect(member.getByRole("link", { name: "Download all (zip)" })).toHaveAttribute("href", /files\.zip$/);
  await expect(file.getByRole("link", { name: "Download" })).toHaveAttribute("href", /version=1&download=true$/);
});

test("a step that is a run of its own leads to it, and back (D1)", async ({ member, models, workspace }) => {
  await models.script([{ text: "Said." }]);
  await launch(workspace, "inner", [{ name: "Inner", prompt: "Inner" }]);
  const { run } = await launch(workspace, "outer", [{ name: "Call", uses: "template:inner" }]);
  await ends(workspace, run, "completed");
  await member.goto(runPage(run));
  await row(member, "Call").getByRole("link", { name: /^run \d+$/ }).click();
  await expect(fact(member, "Called by")).toHaveText(`run ${run}, step Call`);
  await member.goto(`/p/${PROJECT}/runs`);
  await expect(member.getByRole("row").filter({ hasText: `in run ${run}` })).toHaveCount(1);
});

test("a run goes on from a step with another input and role; what changed is said, and reused if one asks for it (F2)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([{ lastUser: "Draft about", text: "A draft." }, { text: "Polished." }]);
  const { run, taskId } = await workspace.launch("rivers");
  await ends(workspace, run, "completed");
  const conversation = await new Conversation(member).open(taskId);
  const calls = (await models.calls()).length;
  await conversation.status(run).getByRole("button", { name: "Rerun…" }).click();
  const dialog = member.getByRole("dialog", { name: `Rerun run ${run}` });
  await dialog.getByLabel("From step").selectOption("Polish");
  await dialog.getByText("Change input").click();
  await expect(dialog.getByLabel("Input", { exact: true })).toHaveValue('{\n  "topic": "rivers"\n}');
  await dialog.getByLabel("Input", { exact: true }).fill('{"topic": "hills"}');
  // The step that reads the input would run again too, unless the user reuses its output.
  await expect(dialog).toContainText("Draft: reads input.topic, which changed");
  await dialog.getByLabel("Reuse the output of Draft").check();
  // Another role for the rerun; the step that is reused offers no choice of role.
  await dialog.getByText("Change roles").click();
  await dialog.getByLabel("Role for Polish").selectOption("senior_reviewer");
  await expect(dialog.getByLabel("Role for Draft")).toHaveCount(0);
  await dialog.getByRole("button", { name: "Rerun", exact: true }).click();
  await expect(dialog).toBeHidden();

  await expect(conversation.responses).toHaveCount(2);
  const fork = run + 1;
  await conversation.isSaidToBe(fork, "Completed");
  await conversation.isSaidToBe(fork, `forked from run ${run}`);
  await conversation.unfold(fork);
  await expect(conversation.step(fork, "Draft").first()).toContainText("reused");
  expect((await models.calls()).length).toBe(calls + 1);
  expect((await models.calls()).at(-1)!.system).toContain("You are a senior reviewer.");
});

test("an output that is reused anyway doesn't stand in the way when the rerun starts from its step after all (F2)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([{ lastUser: "Draft about", text: "A draft." }, { text: "Polished." }]);
  const { run } = await workspace.launch("rivers");
  await ends(workspace, run, "completed");
  const calls = (await models.calls()).length;
  await member.goto(runPage(run));
  await member.getByRole("button", { name: "Rerun…" }).click();
  const dialog = member.getByRole("dialog", { name: `Rerun run ${run}` });
  const reuse = dialog.getByLabel("Reuse the output of Draft");
  await dialog.getByLabel("From step").selectOption("Polish");
  await dialog.getByText("Change input").click();
  await expect(dialog.getByLabel("Input", { exact: true })).toHaveValue(/rivers/);
  await dialog.getByLabel("Input", { exact: true }).fill('{"topic": "hills"}');
  await reuse.check();
  await expect(dialog.locator("[aria-busy]"), "the preview is of what is chosen").toHaveCount(0);
  await expect(reuse).toBeChecked();
  await isClean(member, { phone: true, exclude: "iframe" });

  await dialog.getByLabel("From step").selectOption("Draft");
  await expect(reuse, "the start step has no output to reuse").toHaveCount(0);
  await dialog.getByLabel("From step").selectOption("Polish");
  await expect(reuse, "the tick is still there to be taken back").toBeChecked();
  await dialog.getByLabel("From step").selectOption("Draft");
  await dialog.getByRole("button", { name: "Rerun", exact: true }).click();
  await expect(member.getByRole("heading", { name: `Run ${run + 1}` })).toBeVisible();
  await ends(workspace, run + 1, "completed");
  expect((await models.calls()).slice(calls).map((call) => call.messages.at(-1)?.content)).toEqual([
    "Draft about hills",
    "Polish this: A draft.",
  ]);
});

test("a rerun that cannot be previewed says why at its field; a version that cannot be read launches nothing (F2)", async ({
  consoles,
  member,
  models,
  workspace,
}) => {
  // The preview of an input that is not JSON is rejected.
  consoles.allow(/status of 422/);
  await models.script([{ lastUser: "Draft about", text: "A draft." }, { text: "Polished." }]);
  const { run } = await workspace.launch("rivers");
  await ends(workspace, run, "completed");
  const calls = (await models.calls()).length;
  await member.goto(runPage(run));
  await member.getByRole("button", { name: "Rerun…" }).click();
  const dialog = member.getByRole("dialog", { name: `Rerun run ${run}` });
  const rerun = dialog.getByRole("button", { name: "Rerun", exact: true });
  await dialog.getByLabel("From step").selectOption("Polish");
  const input = dialog.getByLabel("Input", { exact: true });
  await dialog.getByText("Change input").click();
  await expect(input).toHaveValue(/rivers/);
  await input.fill('{"topic": "hills"}');
  await expect(dialog).toContainText("Draft: reads input.topic, which changed");
  await input.fill("{topic");
  await expect(input).toHaveAttribute("aria-invalid", "true");
  await expect(dialog, "the last preview stays").toContainText("Draft: reads input.topic, which changed");
  await input.fill('{"topic": "hills"}');
  await expect(input).not.toHaveAttribute("aria-invalid", "true");

  const version = dialog.getByLabel("Template version");
  await version.fill("9");
  await expect(dialog).toContainText("The template has no version 9");
  for (const unreadable of ["99999999999", "-1", "2.5", "latest"]) {
    await version.fill(unreadable);
    await expect(version).toHaveAttribute("aria-invalid", "true");
    await expect(dialog).toContainText("Is not a version number");
    await rerun.click();
    await expect(dialog.locator("[aria-busy]")).toHaveCount(0);
    await expect(dialog).toBeVisible();
  }
  await isClean(member, { phone: true, exclude: "iframe" });
  const { items } = await workspace.rest.get<{ items: unknown[] }>(`/projects/${PROJECT}/runs`);
  expect(items, "nothing was launched").toHaveLength(1);
  expect((await models.calls()).length).toBe(calls);

  // Rerun waits for the preview of what was just chosen.
  await version.fill("");
  await rerun.click();
  await expect(member.getByRole("heading", { name: `Run ${run + 1}` })).toBeVisible();
  await ends(workspace, run + 1, "completed");
});

test("a step whose child run asks says where, in its row and in its panel (D1, F5)", async ({ member, models, workspace }) => {
  await models.script([{ text: "Said." }]);
  await workspace.rest.post(`/projects/${PROJECT}/templates`, {
    apiVersion: "troupe/v1",
    key: "asks",
    name: "asks",
    steps: [{ name: "Check", uses: "approval", prompt: "Good enough?" }],
  });
  const { run, taskId } = await launch(workspace, "outer", [{ name: "Call", uses: "template:asks" }]);
  await ends(workspace, run, "waiting");
  const child = run + 1;
  const conversation = await new Conversation(member).open(taskId);
  await expect(conversation.step(run, "Call").first()).toContainText(`Waits for a decision on Check in run ${child}.`);
  await member.goto(runPage(run, "?step=0"));
  const panel = member.getByRole("complementary", { name: "Call" });
  await expect(panel).toContainText("Good enough?");
  await expect(panel.getByText("Asked by Check in").getByRole("link", { name: `run ${child}` })).toBeVisible();
  await isClean(member, { phone: true, exclude: "iframe" });
  await expect(question(member, `Call: Check of run ${child}`)).toBeVisible();
  await workspace.rest.post(`/projects/${PROJECT}/runs/${run}/answer`, { stepRun: "0", decision: "approve" });
  await ends(workspace, run, "completed");
  await expect(panel.getByText("Asked by Check in")).toHaveCount(0);
});

test("the steps of a run that a step called stand within it, while it works and afterwards (B5, E4)", async ({
  member,
  models,
  workspace,
}) => {
  const text = "one two three four five six seven";
  await models.script([{ lastUser: "Inner", text, chunkSize: 4, hold: 4 }, { text: "Summed up." }]);
  await launch(workspace, "inner", [{ name: "Inner work", prompt: "Inner" }]);
  const { run, taskId } = await launch(workspace, "outer", [
    { name: "Call", uses: "template:inner" },
    { name: "Sum up", prompt: "Sum up" },
  ]);
  const conversation = await new Conversation(member).open(taskId);
  const inner = conversation.status(run).getByRole("listitem").filter({ hasText: "Inner work" }).last();
  await expect(inner.getByRole("region", { name: "Live text" })).toHaveText("one two three fo");
  await expect(conversation.status(run).locator("summary").first()).toContainText("0 of 2 steps");
  await isClean(member, { phone: true, exclude: "iframe" });
  await models.release();
  await conversation.isSaidToBe(run, "Completed");

  await member.goto(runPage(run));
  const call = row(member, "Call");
  await expect(call.getByText("Inner work"), "what has ended is out of the way").toBeHidden();
  await call.getByText("Its steps").click();
  await expect(call.getByText("Inner work")).toBeVisible();
  await isClean(member, { phone: true, exclude: "iframe" });
});

test("what an answer has brought so far is counted while it streams (A2)", async ({ member, models, workspace }) => {
  await models.script([{ text: "x".repeat(4_000), chunkSize: 500, hold: 5 }]);
  const { run, taskId } = await launch(workspace, "long", [{ name: "Say", prompt: "Say" }]);
  const conversation = await new Conversation(member).open(taskId);
  await conversation.isSaidToBe(run, "2.5 kB");
  await models.release();
  await conversation.isSaidToBe(run, "Completed");
});
