// Runs that are interrupted, stopped, or fail: the page reports what happened (A5, B5, D9).

import { expect, test } from "../fixtures";
import { Conversation, numbered } from "../fixtures/conversation";

const TEXT = numbered(60);

test("killed in the middle, the server takes the run up again; older runs stay as they were (A5, F1)", async ({
  consoles,
  member,
  models,
  product,
  workspace,
}) => {
  // While the server is down, the browser logs every reconnection attempt of the page.
  consoles.allow(/Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED_ENCODING/);
  await models.script([{ text: "An older answer." }]);
  const older = await workspace.launch("hills");
  const conversation = await new Conversation(member).open(older.taskId);
  await conversation.isSaidToBe(older.run, "Completed");

  await models.script([
    { lastUser: "Draft about", text: "The draft." },
    { lastUser: "Polish this", text: TEXT, chunkSize: 8, hold: 5 },
  ]);
  const { run } = await workspace.launch("rivers", {}, older.taskId);
  await expect(conversation.liveText(run)).toHaveText(TEXT.slice(0, 5 * 8));
  await product.kill();
  await models.script([{ lastUser: "Polish this", text: TEXT }]);
  await product.startAgain();

  // The page that stayed open learns of the end by itself.
  await conversation.isSaidToBe(run, "Completed");
  await expect(conversation.responses.last()).toContainText(TEXT);
  await conversation.unfold(run);
  await expect(conversation.step(run, "Polish")).toContainText("attempt 2");

  const calls = await models.calls();
  const drafts = calls.filter((call) => call.messages.at(-1)?.content.startsWith("Draft about rivers"));
  expect(drafts, "a completed step is not called again").toHaveLength(1);

  await member.reload();
  await expect(conversation.responses).toHaveCount(2);
  await conversation.isSaidToBe(older.run, "Completed");
  await expect(conversation.responses.first()).toContainText("An older answer.");
});

test("Stop ends the run, hangs up on the model, and says so (B5)", async ({ member, models, workspace }) => {
  await models.script([{ text: TEXT, chunkSize: 8, hold: 3 }]);
  const { run, taskId } = await workspace.launch("rivers");
  const conversation = await new Conversation(member).open(taskId);
  await expect(conversation.liveText(run)).toHaveText(TEXT.slice(0, 3 * 8));

  await conversation.status(run).getByRole("button", { name: "Stop" }).click();
  await conversation.isSaidToBe(run, "Cancelled");
  await expect.poll(async () => (await models.calls()).map((call) => call.outcome)).toEqual(["hungUp"]);
  expect((await workspace.run(run)).status).toBe("cancelled");

  await member.reload();
  await conversation.isSaidToBe(run, "Cancelled");
  await conversation.unfold(run);
  const draft = conversation.step(run, "Draft");
  await expect(draft).toContainText("Said before it was stopped");
  await expect(draft).toContainText(TEXT.slice(0, 3 * 8));
});

test("an answer that is stopped stays as far as it came, live and for good (B5)", async ({ member, models }) => {
  const long = numbered(100);
  await models.script([{ text: long, chunkSize: 300, hold: 2 }]);
  await member.goto("/p/work/conversations/new");
  await member.getByLabel("Message", { exact: true }).fill("Count");
  await member.getByRole("button", { name: "Send" }).click();
  const response = new Conversation(member).responses.first();
  await expect(response).toContainText(long.slice(0, 600));
  await response.getByRole("button", { name: "Stop" }).click();
  await expect(response).toContainText("Stopped here.");
  await expect(response).toContainText(long.slice(0, 600));

  await member.reload();
  await expect(response).toContainText("Stopped here.");
  await expect(response).toContainText(long.slice(0, 600));
});

test("a provider that fails ends the run as failed, with the step named and what was kept (D9)", async ({
  member,
  models,
  workspace,
}) => {
  const template = {
    apiVersion: "troupe/v1",
    key: "retried",
    name: "Retried",
    steps: [
      { name: "Gather", prompt: "Gather" },
      { name: "Conclude", prompt: "Conclude from {{context['Gather']}}", maxRetries: 1 },
    ],
  };
  await workspace.rest.post("/projects/work/templates", template);
  await models.script([
    { lastUser: "Gather", text: "All there is.", times: 1 },
    { fault: { kind: "status", status: 429, message: "slow down" }, times: 1 },
    { fault: { kind: "status", status: 500, message: "the model fell over" } },
  ]);
  const { run, taskId } = await workspace.rest.post<{ run: number; taskId: string }>(
    "/projects/work/templates/retried/execute",
    { input: {} },
  );
  const conversation = await new Conversation(member).open(taskId);
  await conversation.isSaidToBe(run, "Failed");
  const told = conversation.status(run).getByRole("group", { name: "What went wrong" });
  // The rate-limited attempt was the first one, and does not count as a retry.
  await expect(told).toContainText("Conclude, attempt 3");
  await expect(told).toContainText("the model fell over");
  await expect(told).toContainText("Kept: the output of Gather");
  await expect(told.getByRole("link", { name: "Run it again" })).toBeVisible();

  const record = await workspace.run(run);
  expect(record).toMatchObject({ status: "failed", output: null, error: { step: "Conclude" } });
});

for (const { name, fault } of [
  { name: "a stream that is cut", fault: { kind: "cut", after: 2 } },
  { name: "an empty answer", fault: { kind: "empty" } },
  { name: "a web page instead of an answer", fault: { kind: "html" } },
]) {
  test(`${name} is never taken for success (D9)`, async ({ member, models, workspace }) => {
    await models.script([{ text: TEXT, chunkSize: 8, fault }]);
    const { run, taskId } = await workspace.launch("rivers");
    const conversation = await new Conversation(member).open(taskId);
    await conversation.isSaidToBe(run, "Failed");
    const told = conversation.status(run).getByRole("group", { name: "What went wrong" });
    await expect(told).toContainText("Draft, attempt 1");
    expect((await workspace.run(run)).output).toBeNull();
  });
}
